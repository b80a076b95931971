"""Starts what the whole server needs: the Celery app (without it, tasks go to a broker on localhost) and the checks."""

from django.apps import AppConfig
from django.contrib.admin.apps import AdminConfig


class PortalConfig(AppConfig):
    name = "portal"

    def ready(self) -> None:
        from portal import celery, checks  # noqa: F401, PLC0415 (both need the app registry)


class OperatorAdminConfig(AdminConfig):
    default_site = "portal.admin.OperatorSite"
