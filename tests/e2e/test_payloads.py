"""Text of others stays text: on every page where a payload can come to lie, no script runs, and CSP reports nothing."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import BrowserContext, Page

from tests.e2e.payloads import ALL, MARKUP
from tests.e2e.test_identity import fill_login
from tests.live_stack import LiveStack
from tests.waiting import wait_for

PROGRAM = """
import json
from pathlib import Path

PAYLOADS = json.loads(Path(__file__).with_name("payloads.json").read_text())

def run(data, params):
    output = Path("/var/runtime/output")
    for number, payload in enumerate(PAYLOADS):
        print(payload, flush=True)
        (output / f"{number} {payload.replace('/', '_')}"[:200]).write_text(payload)
    (output / "page.html").write_text("<!doctype html>" + "".join(PAYLOADS))
    (output / "picture.svg").write_text(
        '<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"><script>alert(1)</script></svg>'
    )
    return {payload: [payload] for payload in PAYLOADS}
"""
# Names are short and many: each is a row of its own, so that one payload cannot hide another.
PROVIDER = {"email": "payloads@mercato.example", "password": "correct horse battery"}  # the demo's people stay clean
SIGN_UP = f"""
from allauth.account.models import EmailAddress
from portal.accounts.models import User
user = User.objects.create_user(**{PROVIDER!r})
EmailAddress.objects.create(user=user, email=user.email, verified=True, primary=True)
"""
POISON = """
import json, sys
from portal.accounts.actors import Actor
from portal.accounts.models import Application, User
from portal.lib import tokens
from services.models import Service
payloads = json.loads({payloads!r})
service = Service.objects.get(pk={service!r})
service.name, service.summary = payloads[0][:100], payloads[12][:200]
service.description = "\\n\\n".join(payloads)
service.save()
for number, payload in enumerate(payloads):
    Application.objects.create(
        account=service.account, name=payload[:90] + str(number), access_key_id=tokens.new_token("mck_")
    )
User.objects.get(email={email!r}).rename(payloads[17])
"""


@pytest.fixture
def poisoned(live_stack: LiveStack, tmp_path: Path) -> dict[str, Any]:
    """A service of an account of its own, with payloads wherever a provider or a consumer can write."""
    folder = tmp_path / "poisoned"
    (folder / "src").mkdir(parents=True)
    (folder / "src" / "program.py").write_text(PROGRAM)
    (folder / "src" / "payloads.json").write_text(json.dumps(ALL))
    (folder / "openapi.json").write_text(json.dumps(_description()))
    live_stack.manage("shell", "--verbosity=0", "--command", SIGN_UP)
    email = PROVIDER["email"]
    account = email.partition("@")[0]
    application = live_stack.bootstrap["application"]
    imported = json.loads(
        live_stack.manage(
            *("import_service", str(folder), "--account", account, "--json", "--publish", "marketplace"),
            *("--subscribe", application["access_key_id"]),
        )
    )
    script = POISON.format(payloads=json.dumps(ALL), service=imported["id"], email=email)
    live_stack.manage("shell", "--verbosity=0", "--command", script)
    return imported


def test_no_payload_runs(
    poisoned: dict[str, Any], new_context: Callable[..., BrowserContext], live_stack: LiveStack
) -> None:
    demo = live_stack.bootstrap
    job = _run(poisoned["service_endpoint"], demo)
    context = new_context()
    ran: list[str] = []
    context.expose_binding("ran", lambda source, *_: ran.append(source["page"].url))
    context.add_init_script("window.alert = window.confirm = window.prompt = () => window.ran()")
    page = context.new_page()
    # The consumer: their job, and the provider's service on the marketplace.
    fill_login(page, live_stack, **demo["user"])
    market = f"/marketplace/{poisoned['account']}/{poisoned['slug']}/"
    tabs = [f"/jobs/{job}/{tab}" for tab in ("result/", "files/", "log/", "input/")]
    form = f"/jobs/new/?service={poisoned['id']}"
    for path in ["/marketplace/", market, form, *tabs]:
        _visit(page, live_stack.url + path, holds=True)
    for path in ["/dashboard/", "/jobs/", f"/jobs/{job}/", f"{market}subscribe/"]:
        _visit(page, live_stack.url + path, holds=False)
    for name in ("page.html", "picture.svg"):
        with page.expect_download():
            page.evaluate("url => { location.href = url }", f"/jobs/{job}/files/{name}")
    # The provider: their own service and applications.
    context.clear_cookies()
    fill_login(page, live_stack, **PROVIDER)
    service = f"/services/{poisoned['id']}/"
    for path in ["/applications/", f"{service}api/", f"{service}settings/"]:
        _visit(page, live_stack.url + path, holds=True)
    for path in ["/services/", *(service + tab for tab in ("", "versions/", "builds/", "publication/", "usage/"))]:
        _visit(page, live_stack.url + path, holds=False)
    page.goto(f"{live_stack.url}{service}api/")
    _visit(page, page.locator("a[href*='/api/edit/']").first.evaluate("link => link.href"), holds=False)
    assert ran == []


def _visit(page: Page, address: str, *, holds: bool) -> None:
    """Open a page that may hold payloads, press what could be pressed, and see that they are there as text."""
    answer = page.goto(address)
    assert answer is not None
    assert answer.status == 200, address
    page.wait_for_load_state("networkidle") if not address.endswith("/log/") else page.wait_for_selector(
        "text=alert(1)"
    )
    if holds:
        assert "alert(1)" in page.inner_text("body") or page.get_by_text("alert(1)").count(), address
    # Nothing that a payload wrote is an element of the page, with a handler or an address of a script.
    suspects = page.evaluate(
        """() => [...document.querySelectorAll('*')].filter((e) => [...e.attributes].some((a) =>
             a.name.startsWith('on') || a.name.startsWith('hx-on') || /^\\s*javascript:/i.test(a.value)))
             .map((e) => e.outerHTML.slice(0, 200))"""
    )
    assert suspects == [], address


def _run(endpoint: str, demo: dict[str, Any]) -> str:
    """One execution of the service; its id."""
    application = demo["application"]
    token = httpx.post(
        demo["token_endpoint"],
        data={"grant_type": "client_credentials"},
        auth=(application["access_key_id"], application["secret_access_key"]),
    ).json()["access_token"]
    with httpx.Client(base_url=endpoint, headers={"Authorization": f"Bearer {token}"}) as client:
        sent = {"data": dict.fromkeys(ALL, "x"), "params": {"text": ALL}, "$tags": [text[:64] for text in MARKUP[:20]]}
        execution = client.post("/", json=sent)
        assert execution.status_code == 201, execution.text
        place = f"/{execution.json()['id']}"
        wait_for(lambda: client.get(place).json()["status"] == "SUCCEEDED", what="the execution", seconds=60)
        return str(execution.json()["id"])


def _description() -> dict[str, Any]:
    """An API description in which each text is a payload."""
    properties = {f"field{number}": {"description": text, "example": text} for number, text in enumerate(ALL)}
    schema = {"type": "object", "description": "\n\n".join(ALL), "properties": properties}
    body = {"type": "object", "properties": {"data": {"$ref": "#/components/schemas/InputData"}}}
    post = {
        "summary": ALL[0],
        "description": "\n\n".join(ALL),
        "requestBody": {"content": {"application/json": {"schema": body}}},
        "responses": {"201": {"description": ALL[1]}},
    }
    return {
        "openapi": "3.1.0",
        "info": {"title": ALL[2], "version": "1.0.0", "description": "\n\n".join(ALL)},
        "paths": {"/": {"post": post}},
        "components": {"schemas": {"InputData": schema}},
    }
