"""Which API description a version gets."""

import json

from django.core.files.base import ContentFile

from services import contracts, publishing
from tests.refusals import refusal
from tests.services.publishing.conftest import OPENAPI, upload


def test_the_api_description_is_that_of_the_upload_else_of_the_zip_else_the_default(create):
    brought = create(openapi_file=ContentFile(OPENAPI, "mine.json"), upload=upload(**{"openapi.json": "broken"}))
    found = create(upload=upload(**{"openapi.json": OPENAPI.replace("Mine", "Found")}))
    neither = create(name="Neither", summary="Nothing")
    versions = [service.versions.get() for service in (brought, found, neither)]
    assert [version.openapi_origin for version in versions] == ["uploaded", "archive", "default"]
    titles = [contracts.load(version.openapi).title for version in versions]
    assert titles == ["Mine", "Found", "Neither"]


def test_a_bad_description_is_refused_where_it_comes_from(create):
    bad = OPENAPI.replace("3.1.0", "2.0")
    assert "mine.json" in refusal(create, openapi_file=ContentFile(bad, "mine.json"))["openapi_file"]
    assert "openapi.json" in refusal(create, upload=upload(**{"openapi.json": bad}))["upload"]


def test_a_description_over_the_limit_is_refused(create, settings):
    settings.OPENAPI_MAX_BYTES = 1024
    assert (
        "larger than 1 KiB" in refusal(create, openapi_file=ContentFile(OPENAPI + " " * 1024, "a.json"))["openapi_file"]
    )


def test_a_new_zip_brings_its_own_description_but_an_uploaded_one_stays(create, by):
    service = create()
    newer = publishing.add_version(service=service, by=by, upload=upload(**{"openapi.json": OPENAPI}))
    assert (newer.openapi_origin, contracts.load(newer.openapi).title) == ("archive", "Mine")
    plain = publishing.add_version(service=service, by=by, upload=upload(**{"more.txt": ""}))
    assert plain.openapi_origin == "default"
    mine = publishing.add_version(service=service, by=by, openapi_file=ContentFile(OPENAPI, "mine.json"))
    assert (mine.openapi_origin, mine.source_sha256) == ("uploaded", plain.source_sha256)
    kept = publishing.add_version(service=service, by=by, upload=upload(**{"even/more.txt": ""}))
    assert (kept.openapi_origin, contracts.load(kept.openapi).title) == ("uploaded", "Mine")
    edited = publishing.add_version(service=service, by=by, upload=upload(**{"last.txt": ""}), text=OPENAPI)
    assert edited.openapi_origin == "edited"


def test_warnings_follow_the_description(create, by):
    status = {"type": "object", "properties": {"status": {"type": "string"}}}
    health = {"200": {"description": "It is up", "content": {"application/json": {"schema": status}}}}
    old = json.dumps(json.loads(OPENAPI) | {"paths": {"/": {"get": {"responses": health}}}})
    service = create(openapi_file=ContentFile(old, "mine.json"))
    (warning,) = service.versions.get().warnings
    assert "GET / tells whether the service is up" in warning
    assert publishing.add_version(service=service, by=by).warnings == [warning]
    fixed = publishing.add_version(service=service, by=by, openapi_file=ContentFile(OPENAPI, "mine.json"))
    assert fixed.warnings == []
