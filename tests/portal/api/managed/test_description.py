"""The gateway against its own description: whatever that allows is sent, and much that it does not."""

from collections.abc import Iterator

import hypothesis
import pytest
import schemathesis
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.core.signals import request_finished, request_started
from django.db import close_old_connections
from hypothesis import HealthCheck, strategies
from schemathesis import Case
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi import checks

from portal.wsgi import application
from tests import factories

EXAMPLES = 25  # an operation
SEED = 20261121
CHECKS = (
    not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_headers_conformance,
    checks.response_schema_conformance,
)


SCHEMA = schemathesis.openapi.from_wsgi("/gateway/openapi.json", application)
OPERATIONS = {each.ok().label: each.ok() for each in SCHEMA.get_all_operations()}


@pytest.fixture
def _one_connection() -> Iterator[None]:
    """The server answers in this thread, and keeps its connection as Django's test client does."""
    for signal in (request_started, request_finished):
        signal.disconnect(close_old_connections)
    yield
    for signal in (request_started, request_finished):
        signal.connect(close_old_connections)


@pytest.fixture
def places(db: None) -> dict[str, str]:
    """The address of an execution with a file, and a token for it."""
    subscription = factories.SubscriptionFactory()
    job = factories.JobFactory(
        version=subscription.version,
        account=subscription.application.account,
        subscription=subscription,
        status="SUCCEEDED",
    )
    file = factories.JobFileFactory(job=job, key=default_storage.save("described.txt", ContentFile(b"hello")))
    return {
        "account": subscription.service.account.slug,
        "service": subscription.service.slug,
        "version": subscription.version.number,
        "id": str(job.pk),
        "file": file.name,
        "token": factories.access_token(subscription.application),
    }


@pytest.mark.usefixtures("_one_connection")
@pytest.mark.parametrize("operation", OPERATIONS)
def test_it_answers_as_described(operation: str, places: dict[str, str]) -> None:
    @hypothesis.seed(SEED)
    @hypothesis.settings(max_examples=EXAMPLES, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @hypothesis.given(case=OPERATIONS[operation].as_strategy(), is_ours=strategies.booleans())
    def answers(case: Case, is_ours: bool) -> None:
        # The service is always ours, or nothing but 404 would come back; of two executions one is, too.
        for name in ("account", "service", "version", *(("id", "file") if is_ours else ())):
            if name in case.path_parameters:
                case.path_parameters[name] = places[name]
        case.headers["Authorization"] = f"Bearer {places['token']}"
        case.headers.pop("Prefer", None)  # it waits
        case.call_and_validate(checks=CHECKS)

    answers()


def test_every_operation_is_described() -> None:
    assert len(OPERATIONS) == 8
