"""What docs/operator.md tells operators to do, done."""

import configparser
import re
import shutil
import socketserver
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection, HTTPMessage
from pathlib import Path

import pytest
from django.test import Client

from tests.factories import PASSWORD
from tests.live_stack import LiveStack
from tests.test_project import documented

ROOT = Path(__file__).resolve().parent.parent
GUIDE = (ROOT / "docs" / "operator.md").read_text()


def sample(language: str, containing: str) -> str:
    """The code block of the guide that holds ``containing``."""
    blocks = re.findall(rf"^```{language}\n(.*?)^```$", GUIDE, re.MULTILINE | re.DOTALL)
    return next(block for block in blocks if containing in block)


@pytest.fixture(scope="module")
def instance():
    """A server as the guide sets it up: https in front, no demo."""
    lines = [line.partition("=") for line in sample("bash", "PUBLIC_URL=https").splitlines()]
    variables = {name: value for name, _, value in lines if name not in {"MERCATO_HOME", "EMAIL_URL"}}
    instance = LiveStack(**variables)
    yield instance.start()
    instance.remove()


def test_every_setting_that_the_guide_names_exists():
    named = set(re.findall(r"\b([A-Z][A-Z]+_[A-Z_]+)=", GUIDE)) - {"LIMIT_NOFILE", "UV_PYTHON_INSTALL_DIR"}
    assert named <= documented("docs/settings.md")


def test_the_unit_starts_up_and_leaves_running_jobs_alone():
    unit = configparser.ConfigParser(strict=False, interpolation=None)
    unit.optionxform = str
    unit.read_string(sample("ini", "[Service]"))
    service = unit["Service"]
    interpreter, *command = service["ExecStart"].split()
    assert (interpreter, command) == (f"{service['WorkingDirectory']}/.venv/bin/python", ["manage.py", "up"])
    assert service["KillMode"] == "process"
    assert int(service["TimeoutStopSec"]) > 5


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd is not here")
def test_systemd_understands_the_unit(tmp_path):
    file = tmp_path / "mercato.service"
    text = sample("ini", "[Service]").replace("/opt/mercato/.venv/bin/python manage.py up", "/bin/true")
    file.write_text(text.replace("WorkingDirectory=/opt/mercato", f"WorkingDirectory={tmp_path}"))
    checked = subprocess.run(["systemd-analyze", "verify", file], capture_output=True, text=True, check=False)
    assert "mercato.service" not in checked.stderr


@pytest.mark.skipif(not shutil.which("nginx"), reason="nginx is not here")
def test_nginx_understands_the_sample(tmp_path):
    server = sample("nginx", "proxy_pass").replace("http2 on;", "")
    server = re.sub(r"ssl_certificate\w* .*;|listen 443 ssl;", "", server)
    (tmp_path / "nginx.conf").write_text(f"pid {tmp_path}/pid; events {{}} http {{ {server} }}")
    checked = subprocess.run(
        ["nginx", "-t", "-c", tmp_path / "nginx.conf"], capture_output=True, text=True, check=False
    )
    assert checked.returncode == 0, checked.stderr


def test_the_proxy_passes_on_what_the_server_reads():
    server = sample("nginx", "proxy_pass")
    for header in ("Host $host", "X-Forwarded-Proto $scheme", "X-Forwarded-For $proxy_add_x_forwarded_for"):
        assert f"proxy_set_header {header};" in server
    assert int(re.search(r"client_max_body_size (\d+)m", server)[1]) * 1024**2 > 50 * 1024**2
    assert int(re.search(r"proxy_read_timeout (\d+)s", server)[1]) > 10


def test_behind_tls_cookies_are_secure_and_plain_requests_are_sent_on(instance):
    status, headers = ask(instance, "/")
    assert (status, headers["Location"]) == (301, "https://mercato.example/")
    status, headers = ask(instance, "/accounts/login/", {"X-Forwarded-Proto": "https"})
    assert (status, "Secure" in headers["Set-Cookie"]) == (200, True)
    assert headers["Strict-Transport-Security"].startswith("max-age=31536000")
    assert ask(instance, "/healthz")[0] == 200
    assert ask(instance, "/", {"Host": "elsewhere.example", "X-Forwarded-Proto": "https"})[0] == 400


def ask(instance: LiveStack, path: str, headers: dict[str, str] | None = None) -> tuple[int, HTTPMessage]:
    """Status and headers of an answer, as the proxy gets it."""
    connection = HTTPConnection("127.0.0.1", instance.port, timeout=30)
    connection.request("GET", path, headers={"Host": "mercato.example", **(headers or {})})
    with connection.getresponse() as response:
        connection.close()
        return response.status, response.headers


def test_the_server_passes_the_checks_for_a_deployment(instance):
    assert "no issues" in instance.manage("check", "--deploy", "--fail-level", "WARNING")


@pytest.mark.django_db
def test_the_first_administrator_signs_in_and_manages(client, monkeypatch):
    monkeypatch.setenv("DJANGO_SUPERUSER_PASSWORD", PASSWORD)
    from django.core.management import call_command  # noqa: PLC0415 (reads the environment above)

    call_command("createsuperuser", "--noinput", "--email", "admin@example.com", verbosity=0)
    client.post("/accounts/login/", {"login": "admin@example.com", "password": PASSWORD})
    assert client.get("/admin/").status_code == 200
    assert Client().get("/admin/").status_code == 302


def test_mail_goes_to_the_server_that_is_set(instance):
    with smtp_server() as (port, received):
        environment = {**instance.environment, "EMAIL_URL": f"smtp://127.0.0.1:{port}"}
        command = instance.command("sendtestemail", "you@example.com")
        subprocess.run(command, env=environment, check=True)
    assert "To: you@example.com" in received
    assert any(line.startswith("From: Mercato <mercato@mercato.example>") for line in received)


def test_no_demo_is_made_on_a_server(instance):
    done = subprocess.run(
        instance.command("bootstrap"), env=instance.environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "no demo" in done.stderr


@contextmanager
def smtp_server() -> Iterator[tuple[int, list[str]]]:
    """A mail server: its port, and the lines that it got."""
    received: list[str] = []

    class Session(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            self.wfile.write(b"220 ready\r\n")
            in_data = False
            for line in self.rfile:
                received.append(line.decode().rstrip())
                if in_data and received[-1] != ".":
                    continue
                in_data = received[-1].upper() == "DATA"
                self.wfile.write(b"354 go on\r\n" if in_data else b"250 ok\r\n")

    with socketserver.TCPServer(("127.0.0.1", 0), Session) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.server_address[1], received
        server.shutdown()
        thread.join()
