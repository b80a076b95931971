"""Uploads fill no disk: of a file that is too large, only as much is kept as shows that it is."""

from django.conf import settings
from django.core.files.uploadhandler import FileUploadHandler


class BoundedUploadHandler(FileUploadHandler):
    """The first of FILE_UPLOAD_HANDLERS: hands on no more of a file than any upload may have, and one chunk.

    The file arrives cut, so whoever checks its size can say what is wrong, in words of the form.
    """

    def receive_data_chunk(self, raw_data: bytes, start: int) -> bytes | None:
        """``raw_data`` for the next handler; None drops it."""
        return raw_data if start <= settings.SOURCE_MAX_BYTES else None

    def file_complete(self, file_size: int) -> None:
        """The handlers after this one have the file."""
