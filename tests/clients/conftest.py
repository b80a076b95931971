"""A service on the live instance, subscribed by the demo's application, and the two real clients of it."""

import json
import secrets
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from planqk.service.client import PlanqkServiceClient
from qhub.service.client import HubServiceClient

from tests.live_stack import LiveStack

CLIENTS = {"qhub": HubServiceClient, "planqk": PlanqkServiceClient}


NEW_APPLICATION = """
from portal.accounts import applications
from portal.accounts.actors import Actor
from portal.accounts.models import Account
account = Account.objects.get(slug="{account}")
by = Actor(user=account.person)
application, secret = applications.create_application(account=account, name="Real clients", by=by)
print(application.access_key_id, secret)
"""


@dataclass(frozen=True, kw_only=True)
class Access:
    """What a consumer has in hand: where to call, and with what."""

    endpoint: str
    token_endpoint: str
    key: str
    secret: str
    variable: str  # the value of a secret variable of the version, which a consumer never has


@pytest.fixture(scope="session")
def access(live_stack: LiveStack, tmp_path_factory: pytest.TempPathFactory) -> Access:
    """An application of the demo account, subscribed to `program.py`, which is published on the marketplace.

    Its own and not the demo's, whose secret `up` prints.
    """
    folder = tmp_path_factory.mktemp("clients") / "for-clients"
    (folder / "src").mkdir(parents=True)
    (folder / "src" / "__init__.py").touch()
    shutil.copy(Path(__file__).with_name("program.py"), folder / "src")
    demo = live_stack.bootstrap
    key, secret = live_stack.manage("shell", "--verbosity=0", "--command", NEW_APPLICATION.format(**demo)).split()
    variable = f"variable-{secrets.token_hex(24)}"
    variables = folder.with_name("variables.env")
    variables.write_text(f"PROVIDER_TOKEN={variable}\n")
    imported = json.loads(
        live_stack.manage(
            *("import_service", str(folder), "--account", demo["account"], "--json"),
            *("--secret-env-file", str(variables)),
            *("--publish", "marketplace", "--subscribe", key),
        )
    )
    return Access(
        endpoint=imported["service_endpoint"],
        token_endpoint=demo["token_endpoint"],
        key=key,
        secret=secret,
        variable=variable,
    )


@pytest.fixture(params=CLIENTS)
def connect(request: pytest.FixtureRequest, access: Access) -> Iterator[Callable[..., Any]]:
    """Makes one of the real clients; what is not given is as a consumer would have it."""
    made = []

    def make(*, endpoint: str = "", key: str = "", secret: str = "") -> Any:
        client = CLIENTS[request.param](
            service_endpoint=endpoint or access.endpoint,
            access_key_id=key or access.key,
            secret_access_key=secret or access.secret,
            token_endpoint=access.token_endpoint,
        )
        made.append(client)
        return client

    yield make
    for client in made:  # neither has a way to close its connections
        client._api._client_wrapper.httpx_client.httpx_client.close()


@pytest.fixture
def client(connect: Callable[..., Any]) -> Any:
    """One of the real clients, connected."""
    return connect()
