"""Backup and restore from outside: what one instance wrote, another one has."""

import json
import stat
import subprocess
import tarfile

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.core.management import call_command
from django.db import connection

from portal.accounts.models import User
from portal.management import backups
from tests.factories import UserFactory
from tests.live_stack import LiveStack

MAKE_PERSON = """
from portal.accounts.models import User
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from portal.lib import crypto
User.objects.create_user("kept@example.com", "a good password")
default_storage.save("sources/kept.zip", ContentFile(b"kept bytes"))
print(crypto.encrypt("a secret"))
"""
READ_BACK = """
import sys
from portal.accounts.models import User
from django.core.files.storage import default_storage
from portal.lib import crypto
assert User.objects.get(email="kept@example.com").check_password("a good password")
print(default_storage.open("sources/kept.zip").read().decode())
print(crypto.decrypt({secret!r}))
"""


@pytest.fixture(scope="module")
def old_instance(tmp_path_factory):
    """A data folder with a person, a file and a secret in it; nothing runs."""
    stack = LiveStack(tmp_path_factory.mktemp("old"))
    stack.prepare_home()
    stack.secret = stack.manage("shell", "--verbosity=0", "--command", MAKE_PERSON).strip()
    return stack


@pytest.fixture(scope="module")
def backup(old_instance, tmp_path_factory):
    """A backup of the old instance."""
    file = tmp_path_factory.mktemp("backups") / "mercato.tar"
    assert "database, 1 files" in old_instance.manage("backup", str(file))
    return file


@pytest.fixture
def new_instance(tmp_path):
    return LiveStack(tmp_path)


def refused(stack: LiveStack, *arguments: str) -> str:
    """What a command that fails says."""
    done = subprocess.run(stack.command(*arguments), env=stack.environment, capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stdout
    assert "Traceback" not in done.stderr
    return done.stderr


def test_another_instance_has_what_the_backup_holds(old_instance, backup, new_instance):
    assert "Restored the state of" in new_instance.manage("restore", str(backup))
    read = READ_BACK.format(secret=old_instance.secret)
    printed = new_instance.manage("shell", "--verbosity=0", "--command", read)
    assert printed.splitlines() == ["kept bytes", "a secret"]
    for name in ("secret_key", "encryption_key"):
        assert (new_instance.home / name).read_bytes() == (old_instance.home / name).read_bytes()
        assert (new_instance.home / name).stat().st_mode & 0o077 == 0
    assert (new_instance.home / "mercato.sqlite3").stat().st_mode & 0o077 == 0


def test_a_backup_is_for_its_owner_only(backup):
    assert stat.S_IMODE(backup.stat().st_mode) == 0o600


def test_a_backup_overwrites_nothing(old_instance, backup):
    before = backup.read_bytes()
    assert "exists already" in refused(old_instance, "backup", str(backup))
    assert backup.read_bytes() == before


def test_a_folder_that_is_not_there_is_named(old_instance, tmp_path):
    assert "cannot be written" in refused(old_instance, "backup", str(tmp_path / "nowhere" / "mercato.tar"))


def test_an_instance_with_data_is_not_overwritten_unless_it_is_forced(old_instance, backup, new_instance):
    new_instance.prepare_home()
    new_instance.manage("check")  # makes its keys
    before = (new_instance.home / "secret_key").read_bytes()
    assert "--force" in refused(new_instance, "restore", str(backup))
    assert (new_instance.home / "secret_key").read_bytes() == before

    new_instance.manage("restore", str(backup), "--force")
    aside = next(new_instance.home.glob("replaced-*"))
    assert {"mercato.sqlite3", "secret_key", "encryption_key"} <= {file.name for file in aside.iterdir()}
    assert (aside / "secret_key").read_bytes() == before
    assert aside.stat().st_mode & 0o077 == 0


def test_a_running_instance_is_backed_up_but_not_restored(live_stack, tmp_path):
    file = tmp_path / "mercato.tar"
    live_stack.manage("backup", str(file))
    assert "Stop it first" in refused(live_stack, "restore", str(file), "--force")
    assert live_stack.answers()


@pytest.mark.parametrize("damage", ["truncated", "no tar", "missing"])
def test_what_is_no_backup_changes_nothing(backup, new_instance, tmp_path_factory, damage):
    file = tmp_path_factory.mktemp("damaged") / "mercato.tar"
    if damage != "missing":
        file.write_bytes(backup.read_bytes()[:-100_000] if damage == "truncated" else b"hello")
    said = refused(new_instance, "restore", str(file))
    assert ("There is no file" if damage == "missing" else "not a backup of Mercato") in said
    assert not (new_instance.home / "mercato.sqlite3").exists()


def test_a_backup_of_another_kind_of_database_is_refused(new_instance, tmp_path_factory):
    file = tmp_path_factory.mktemp("other") / "mercato.tar"
    with tarfile.open(file, "w") as archive:
        backups._add_bytes(archive, "manifest.json", json.dumps({"format": 1, "database": "oracle"}).encode())
    assert "Set DATABASE_URL" in refused(new_instance, "restore", str(file))


def test_a_name_that_leaves_its_folder_is_refused(backup, new_instance, tmp_path_factory):
    file = tmp_path_factory.mktemp("evil") / "mercato.tar"
    with tarfile.open(file, "w") as archive:
        manifest = {"format": 1, "database": "sqlite", "made_at": "now", "files": 1, "keys": []}
        backups._add_bytes(archive, "manifest.json", json.dumps(manifest).encode())
        backups._add_bytes(archive, "files/../../escaped", b"")
        backups._add_bytes(archive, "keys/../escaped", b"")
    subprocess.run(new_instance.command("restore", str(file)), env=new_instance.environment, check=False)
    assert not list(new_instance.home.parent.glob("escaped"))
    assert not list(new_instance.home.glob("escaped"))


@pytest.mark.django_db(transaction=True)
def test_the_database_in_use_comes_back(tmp_path, settings, monkeypatch):
    settings.MERCATO_HOME = tmp_path
    settings.STORAGES = settings.STORAGES | {
        "default": {
            "BACKEND": "django.core.files.storage.FileSystemStorage",
            "OPTIONS": {"location": tmp_path / "files"},
        }
    }
    user = UserFactory(email="before@example.com")
    default_storage.save("jobs/1/plot.png", ContentFile(b"picture"))
    call_command("backup", tmp_path / "mercato.tar", verbosity=0)
    user.delete()
    default_storage.delete("jobs/1/plot.png")

    call_command("restore", tmp_path / "mercato.tar", "--force")
    connection.close()
    assert User.objects.filter(email="before@example.com").exists()
    with default_storage.open("jobs/1/plot.png") as file:
        assert file.read() == b"picture"
