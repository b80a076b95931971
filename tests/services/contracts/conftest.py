"""Small descriptions, and what is refused of one."""

import json

import pytest
from django.core.files.base import ContentFile

from services import contracts, sources
from services.contracts import ContractRejected
from tests.programs import zipped

HEAD = "openapi: 3.0.3\ninfo: {title: Test, version: '1'}\n"


def document(schemas: dict | None = None, body: dict | None = None, *, version: str = "3.0.3", **paths: dict) -> str:
    """A small description as JSON; ``body`` is the schema of what POST / takes."""
    post = {"responses": {"201": {"description": "started"}}}
    if body is not None:
        post["requestBody"] = {"content": {"application/json": {"schema": body}}}
    return json.dumps(
        {
            "openapi": version,
            "info": {"title": "Test", "version": "1"},
            "paths": {"/": {"post": post}, **paths},
            "components": {"schemas": schemas or {}},
        }
    )


def refusal(text: str | bytes, name: str = "openapi.yml") -> str:
    with pytest.raises(ContractRejected) as refused:
        contracts.parse(text, name=name)
    return "\n".join(refused.value.messages)


def source_of(program: str, **files: str) -> sources.Source:
    content = zipped({"src/program.py": program, "requirements.txt": ""} | files)
    return sources.check(ContentFile(content), "project.zip")
