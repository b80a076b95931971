"""A project to offer, and the verb that offers it with all it needs."""

import json

import pytest
from django.core.files.base import ContentFile

from portal.accounts.actors import Actor
from services import publishing
from services.models import Service
from tests.programs import zipped

PROJECT = {"src/program.py": "def run(data, params): return data", "requirements.txt": ""}
OPENAPI = json.dumps({"openapi": "3.1.0", "info": {"title": "Mine", "version": "1"}, "paths": {"/": {"post": {}}}})


def upload(name: str = "project.zip", **files: str) -> ContentFile:
    return ContentFile(zipped(PROJECT | files), name)


@pytest.fixture
def by(provider) -> Actor:
    return Actor(user=provider)


@pytest.fixture
def create(provider_account, by):
    """create_service with what it needs and whatever else is given."""

    def create(**given: object) -> Service:
        return publishing.create_service(
            **{"account": provider_account, "by": by, "name": "Sum", "upload": upload()} | given
        )

    return create
