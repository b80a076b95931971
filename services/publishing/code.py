"""The code of a version: an uploaded zip, which sources/ takes apart, or an image of a registry."""

from dataclasses import dataclass
from typing import Self

from django.core.exceptions import ValidationError
from django.core.files.base import File

from services import runtimes, sources
from services.models import ServiceVersion
from services.runtimes import image_names
from services.sources import Source, SourceRejected

SOURCE_NAME_MAX_CHARACTERS = 255


@dataclass(frozen=True, kw_only=True)
class Code:
    """The columns of a version that say what its code is."""

    source_sha256: str
    source_size: int
    source_name: str
    image: str
    warnings: list[str]

    @classmethod
    def of(cls, version: ServiceVersion) -> Self:
        return cls(**{name: getattr(version, name) for name in cls.__dataclass_fields__})


@dataclass(frozen=True, kw_only=True)
class Brought:
    """Code that a provider brings, checked and not yet kept."""

    source: Source
    runtime: str
    upload: File | None = None
    image: str = ""

    def code(self) -> Code:
        return Code(
            source_sha256=self.source.sha256,
            source_size=self.source.size,
            source_name=(self.image or self.source.name)[-SOURCE_NAME_MAX_CHARACTERS:],
            image=self.image,
            warnings=self.source.warnings,
        )

    def store(self) -> None:
        """Keep the zip."""
        if self.upload is not None:
            sources.store(self.upload, sha256=self.source.sha256)


def bring(*, upload: File | None, image: str, runtime: str | None) -> Brought:
    """Check the code of a version, for the runtime that was chosen or that it tells itself. Raises ValidationError."""
    image, runtime = image.strip(), runtime or None
    if upload is not None and image:
        raise ValidationError({"image": "Send a zip or name an image, not both: which of them is it?"})
    if upload is None and not image:
        raise ValidationError({"upload": "Send the zip of your project, or name an image of a registry."})
    if runtime is not None and runtime not in ServiceVersion.RuntimeName:
        names = ", ".join(ServiceVersion.RuntimeName)
        raise ValidationError({"runtime": f"There is no runtime {runtime[:16]!r}. Choose one of {names}."})
    if upload is not None:
        source = _checked_source(upload, runtime)
        _refuse_without_engine(source.runtime, field="runtime" if runtime else "upload")
        return Brought(source=source, runtime=source.runtime, upload=upload)
    if runtime == ServiceVersion.RuntimeName.PYTHON:
        raise ValidationError({"image": "An image is run by the runtime Container. Choose that, or send a zip."})
    if reason := image_names.problem_with(image):
        raise ValidationError({"image": reason})
    _refuse_without_engine(ServiceVersion.RuntimeName.DOCKER, field="image")
    return Brought(source=sources.unread(""), runtime=ServiceVersion.RuntimeName.DOCKER, image=image)


def bring_next(latest: ServiceVersion, *, upload: File | None, image: str, runtime: str | None) -> Brought | None:
    """Check the code of the version after ``latest``; None where it stays as it is. Raises ValidationError."""
    image, runtime = image.strip(), runtime or None
    if upload is not None or (image and image != latest.image):
        return bring(upload=upload, image=image if image != latest.image else "", runtime=runtime)
    if runtime not in (None, latest.runtime):
        raise ValidationError(
            {"runtime": f"The code of {latest.number} is for another runtime. Send a zip for this one."}
        )
    _refuse_without_engine(latest.runtime, field="runtime")
    return None


def _checked_source(upload: File, runtime: str | None) -> Source:
    try:
        return sources.check(upload, name=upload.name or "", runtime=runtime)
    except SourceRejected as rejected:
        raise ValidationError({"upload": rejected.messages}) from rejected


def _refuse_without_engine(runtime: str, *, field: str) -> None:
    if reason := runtimes.refusal(runtime):
        raise ValidationError(
            {
                field: f"This is a container, and containers do not run here: {reason} Nothing was created. Ask the "
                "operator, or send a project with src/program.py, which runs as Python."
            }
        )
