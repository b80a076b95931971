"""Uploads that are too large."""

from contextlib import closing

import pytest
from django.core.exceptions import TooManyFilesSent
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import RequestFactory


@pytest.mark.parametrize("size", [4_000_000, 3_000_000])
def test_of_a_file_that_is_too_large_no_more_is_kept_than_shows_it(settings, size):
    settings.SOURCE_MAX_BYTES = 1_000_000
    sent = {"a": "b", "upload": SimpleUploadedFile("a.zip", bytes(size)), "c": "d"}
    with closing(RequestFactory().post("/", sent)) as request:
        upload = request.FILES["upload"]
        assert 1_000_000 < upload.size < 1_100_000
        assert len(upload.read()) == upload.size
        assert request.POST.dict() == {"a": "b", "c": "d"}


@pytest.mark.parametrize("size", [10, 1_000_000, 5_000_000])
def test_any_other_file_arrives_whole(settings, size):
    settings.SOURCE_MAX_BYTES = 5_000_000
    with closing(RequestFactory().post("/", {"upload": SimpleUploadedFile("a.zip", bytes(size))})) as request:
        assert request.FILES["upload"].size == size


def test_many_files_at_once_are_refused():
    sent = {f"upload-{number}": SimpleUploadedFile("a.zip", b"zip") for number in range(5)}
    with closing(RequestFactory().post("/", sent)) as request, pytest.raises(TooManyFilesSent):
        _ = request.FILES
