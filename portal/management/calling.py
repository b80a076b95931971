"""How to call the first service of the demo from a shell. Apart from demo.py, so that `up` need not import services."""

import json
from collections.abc import Mapping
from typing import Any

from django.conf import settings

from portal.lib.tokens import ACCESS_TOKEN

EXAMPLES = settings.BASE_DIR / "examples"
FIRST_SERVICE = "sum"


def lines(demo: Mapping[str, Any]) -> list[str]:
    """A token, and an execution with the example of the service; ``demo`` is what `bootstrap --json` prints."""
    application = demo["application"]
    pair = f"{application['access_key_id']}:{application['secret_access_key']}"
    body = json.dumps({name: json.loads(_example(name)) for name in ("data", "params")})
    return [
        f"TOKEN=$(curl -s {demo['token_endpoint']} -u {pair} -d grant_type=client_credentials | "
        f"grep -o '{ACCESS_TOKEN}[0-9a-f]*')",
        f"curl -s {demo['service_endpoint']}/ -H \"Authorization: Bearer $TOKEN\" -H 'Prefer: wait=30' "
        f"-H 'Content-Type: application/json' -d '{body}'",
    ]


def _example(name: str) -> str:
    return (EXAMPLES / FIRST_SERVICE / "input" / f"{name}.json").read_text()
