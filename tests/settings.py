"""The server's settings for tests: everything below one temporary folder, and what costs time only replaced.

A module of its own because pytest-django loads the settings before any conftest.py.
"""

import os
import tempfile
from pathlib import Path

TESTS_HOME = Path(tempfile.mkdtemp(prefix="mercato-tests-"))
ENGINE_SOCKET = TESTS_HOME / "engine.sock"
TESTS_HOME.chmod(0o711)  # a job's user passes through it, as through the data folder of an instance

for inherited in (
    "REDIS_URL",
    "EMAIL_URL",
    "PUBLIC_URL",
    "DEBUG",
    "DEMO",
    "JOBS_HOME",
    "ALLOW_UNSAFE_RUNTIME",
    "CONTAINERS",
):
    os.environ.pop(inherited, None)
os.environ |= {
    "MERCATO_HOME": str(TESTS_HOME / "home"),
    "RUN_DIR": str(TESTS_HOME / "run"),
    "SECRET_KEY": "only-for-tests",
    "WORKER_HOST": "test-host",
    "JOB_SLOTS": "2",
    "DOCKER_HOST": f"unix://{ENGINE_SOCKET}",  # nobody listens there but while tests/engine.py does
    "BUILD_NETWORK": "none",
}

from portal.settings import *  # noqa: E402, F403 (it reads the environment that the lines above make)
from portal.settings import DATABASES, STATIC_ROOT, STORAGES  # noqa: E402

if DATABASES["default"]["ENGINE"].endswith("sqlite3"):
    # A file and not memory, so that workers in processes of their own see what a test wrote.
    DATABASES["default"]["TEST"] = {"NAME": str(TESTS_HOME / "test.sqlite3")}
else:
    # A pool outlives the test that opened it and keeps the test database from being dropped.
    DATABASES["default"]["OPTIONS"].pop("pool")
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"
STORAGES |= {"staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}}
# Cleared after each test, which on the server's own cache would empty queues and logs too.
CACHES = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}
STATIC_ROOT.mkdir(parents=True)  # whitenoise warns where there is none
