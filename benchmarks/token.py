"""How fast access tokens are issued, against a page that does nothing in the same run.

`python -m benchmarks.token [--smoke]`
"""

import argparse
import base64
import json

from benchmarks.instance import running
from benchmarks.load import load, request

GOAL_MILLISECONDS = 10
# Not 0: the buckets are asked as on any server.
NO_LIMITS = {"TOKEN_REQUESTS_PER_ADDRESS": str(10**9), "TOKEN_REQUESTS_PER_KEY": str(10**9)}
MAKE_APPLICATION = """
import json
from portal.accounts.models import Application, ApplicationSecret, User
from portal.lib import tokens
user = User.objects.create_user("token@example.com")
key, secret = tokens.new_token(tokens.ACCESS_KEY_ID), tokens.new_token(tokens.SECRET_ACCESS_KEY)
application = Application.objects.create(account=user.personal_account, name="Benchmark", access_key_id=key)
ApplicationSecret.objects.create(application=application, digest=tokens.digest(secret), ending=secret[-4:])
print(json.dumps([key, secret]))
"""


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--smoke", action="store_true", help="a few tokens, to see that it works")
    count = 32 if parser.parse_args().smoke else 4_000
    with running(DEMO="0", **NO_LIMITS) as stack:
        key, secret = json.loads(stack.manage("shell", "--no-imports", "-c", MAKE_APPLICATION))
        asked = request(
            "POST",
            "/token",
            body=b"grant_type=client_credentials",
            Authorization="Basic " + base64.b64encode(f"{key}:{secret}".encode()).decode(),
            Content_Type="application/x-www-form-urlencoded",
        )
        for connections in (1, 16):
            for name, what in (("GET /healthz", request("GET", "/healthz")), ("POST /token", asked)):
                load(stack.port, what, connections=connections, count=16)
                measured = load(stack.port, what, connections=connections, count=count)
                print(f"{name:13} {connections:3} connections {measured}", flush=True)
        print(f"goal on an idle machine: POST /token p95 ≤ {GOAL_MILLISECONDS} ms")


if __name__ == "__main__":
    main()
