"""Texts to copy: how to ask for a token and how to call a subscribed service, in curl and with the SDKs.

No secret is in them, but for `token_curl`, which is shown once, where the secret is.
"""

import base64
import json
import re
import textwrap
from collections.abc import Callable
from typing import Any

from django.conf import settings

from portal.accounts.models import Application
from services import contracts
from services.models import ServiceVersion, Subscription
from services.subscriptions import endpoint

SECRET_VARIABLE = "SECRET_ACCESS_KEY"  # noqa: S105 (the name of a variable)
INPUT_SHOWN_MAX_CHARACTERS = 2_000  # a longer example is read from a file
INPUT_FILE = "input.json"
LINE_CHARACTERS = 88


def token_endpoint() -> str:
    """Where an application asks for its token."""
    return f"{settings.PUBLIC_URL}/token"


def token_curl(application: Application, secret: str) -> str:
    """The complete command that asks for a token, with key and secret in it."""
    pair = base64.b64encode(f"{application.access_key_id}:{secret}".encode()).decode()
    return f'curl -X POST {token_endpoint()} -d "grant_type=client_credentials" -H "Authorization: Basic {pair}"'


def curl(subscription: Subscription) -> str:
    """Token, start, status and result in a shell that has curl."""
    example = _example(subscription.version)
    body = f"@{INPUT_FILE}" if example is None else _single_quoted(_json(example))
    return _filled(
        """\
        # export {variable}=…  (shown once, when the secret was added)

        # 1. A token; it is good for an hour
        TOKEN=$(curl -sS -X POST {token_endpoint} \\
          -u "{key}:${variable}" \\
          -d "grant_type=client_credentials" \\
          | grep -o '"access_token": *"[^"]*"' | cut -d'"' -f4)

        # 2. Start an execution
        STARTED=$(curl -sS -X POST {endpoint}/ \\
          -H "Authorization: Bearer $TOKEN" -H "Content-Type: application/json" \\
          -d {body})
        printf '%s\\n' "$STARTED"
        ID=$(printf '%s' "$STARTED" | grep -o '"id": *"[^"]*"' | head -n 1 | cut -d'"' -f4)

        # 3. Its status. It answers when the execution has ended, at the latest after a minute
        curl -sS -w '\\n' "{endpoint}/${ID:?the start was refused}" \\
          -H "Authorization: Bearer $TOKEN" -H "Prefer: wait=60"

        # 4. Its result
        curl -sS -w '\\n' "{endpoint}/${ID:?the start was refused}/result" \\
          -H "Authorization: Bearer $TOKEN"
        """,
        subscription,
        body=body,
    )


def qhub(subscription: Subscription) -> str:
    """Python, with the package qhub-service."""
    return _python(subscription, package="qhub-service", module="qhub.service.client", client="HubServiceClient")


def planqk(subscription: Subscription) -> str:
    """Python, with the package planqk-service-sdk."""
    return _python(
        subscription, package="planqk-service-sdk", module="planqk.service.client", client="PlanqkServiceClient"
    )


LANGUAGES: dict[str, tuple[str, str, Callable[[Subscription], str]]] = {  # name: (title, highlighting, text)
    "curl": ("curl", "sh", curl),
    "qhub": ("Python: qhub-service", "python", qhub),
    "planqk": ("Python: planqk-service-sdk", "python", planqk),
}


def _python(subscription: Subscription, *, package: str, module: str, client: str) -> str:
    example = _example(subscription.version)
    if example is None:
        read, request = "import json\n", f'json.load(open("{INPUT_FILE}"))'
    else:
        read, request = "", _literal(example)
    return _filled(
        """\
        # pip install {package}
        {read}import os

        from {module} import {client}

        client = {client}(
            service_endpoint="{endpoint}",
            access_key_id="{key}",
            secret_access_key=os.environ["{variable}"],
            token_endpoint="{token_endpoint}",
        )
        execution = client.run(request={request})
        execution.wait_for_final_state()
        print(execution.status)
        print(execution.result())
        """,
        subscription,
        package=package,
        module=module,
        client=client,
        read=read,
        request=request,
    )


def _filled(template: str, subscription: Subscription, **texts: str) -> str:
    """``template`` with its names in braces replaced, in one pass: what comes in is never read as a template."""
    texts |= {
        "variable": SECRET_VARIABLE,
        "token_endpoint": token_endpoint(),
        "endpoint": endpoint(subscription.version),
        "key": subscription.application.access_key_id,
    }
    return re.sub(r"\{(\w+)\}", lambda name: texts[name[1]], textwrap.dedent(template)).rstrip()


def _example(version: ServiceVersion) -> dict[str, Any] | None:
    """The input that the API description gives as an example; None where it is too long to be read here."""
    inputs = contracts.inputs_of(contracts.load(version.openapi))
    if sum(len(each.example) for each in inputs) > INPUT_SHOWN_MAX_CHARACTERS:
        return None
    return {each.name: json.loads(each.example) for each in inputs if each.example}


def _json(value: Any) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False)


def _single_quoted(text: str) -> str:
    """``text`` as one word of a POSIX shell."""
    return "'" + text.replace("'", "'\\''") + "'"


def _literal(value: Any, indent: int = 0) -> str:
    """``value`` from JSON as Python, a line for each part where one line would be too long."""
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    if not isinstance(value, dict | list) or not value:
        return repr(value)
    inner = " " * (indent + 4)
    if isinstance(value, dict):
        left, right = "{", "}"
        parts = [f"{_literal(name)}: {_literal(item, indent + 4)}" for name, item in value.items()]
    else:
        left, right = "[", "]"
        parts = [_literal(item, indent + 4) for item in value]
    line = left + ", ".join(parts) + right
    if indent and "\n" not in line and len(line) + indent <= LINE_CHARACTERS:
        return line
    return f"{left}\n" + "".join(f"{inner}{part},\n" for part in parts) + " " * indent + right
