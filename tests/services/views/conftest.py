"""A service of the provider with a built version, as the pages find it."""

import json

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile

from services import contracts
from services.models import Build, BuildStatus, Service, ServiceVersion
from services.sources import RunSignature, Source
from tests.factories import BuildFactory, ServiceFactory, ServiceVersionFactory
from tests.programs import zipped

PROJECT = {"src/program.py": "def run(data, params):\n    return data\n", "requirements.txt": ""}
HTMX = {"HX-Request": "true"}


def zip_upload(name: str = "project.zip", **files: str) -> SimpleUploadedFile:
    """What a browser sends for a chosen zip: the smallest good project, with ``files`` on top."""
    return SimpleUploadedFile(name, zipped(PROJECT | files), content_type="application/zip")


def openapi() -> str:
    source = Source(sha256="0" * 64, size=1, unpacked_size=1, entries=1, name="sum.zip", run=RunSignature(line=1))
    return contracts.dump(contracts.default(name="Sum", summary="Sums values", source=source), "json")


@pytest.fixture
def service(provider_account) -> Service:
    return ServiceFactory(account=provider_account, name="Sum", summary="Sums values", description="Adds **all**.")


@pytest.fixture
def version(service) -> ServiceVersion:
    return ServiceVersionFactory(service=service, number="1.0.0", openapi=openapi())


@pytest.fixture
def build(version) -> Build:
    return BuildFactory(version=version, status=BuildStatus.SUCCEEDED)


@pytest.fixture
def form_data() -> dict[str, object]:
    """A good form of a new service, as it is sent; ``upload`` included."""
    return {
        "upload": zip_upload(),
        "name": "Max-cut",
        "summary": "Cuts graphs",
        "description": "# Cuts",
        **resources(),
    }


def resources(**changes: str) -> dict[str, str]:
    return {
        "cpu_millis": "0.5",
        "memory_mib_0": "1.5",
        "memory_mib_1": "GiB",
        "time_limit_seconds_0": "10",
        "time_limit_seconds_1": "minutes",
    } | changes


def sent(response) -> dict[str, list[str]]:
    """The errors of the form that an answer shows, by field."""
    return json.loads(response.context["form"].errors.as_json())
