"""The server's own settings without what needs a database."""

from portal.settings import *  # noqa: F403
from portal.settings import STORAGES, TEMPLATES

INSTALLED_APPS = ["django.contrib.staticfiles"]
MIDDLEWARE = ["csp.middleware.CSPMiddleware"]
ROOT_URLCONF = "tests.streaming.site"
TEMPLATES[0]["OPTIONS"] = {"context_processors": ["django.template.context_processors.request"]}
STORAGES |= {"staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}}
