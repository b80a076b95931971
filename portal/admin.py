"""The operator's admin site: Django's, entered by the same door as everything else."""

from typing import Any

from allauth.account.decorators import secure_admin_login
from csp.constants import SELF
from csp.decorators import csp_update
from django.contrib.admin import AdminSite
from django.http import HttpRequest, HttpResponse


class OperatorSite(AdminSite):
    """Django's admin behind our login, because its own form knows neither rate limits nor a second factor."""

    site_header = site_title = "Mercato, for its operator"
    index_title = "What the instance holds"
    enable_nav_sidebar = False

    def login(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        return secure_admin_login(super().login)(request, extra_context)

    def admin_view(self, view: Any, cacheable: bool = False) -> Any:
        # Its scripts carry no nonce. No page of the admin site shows a file of a user, which 'self' would let run.
        return csp_update({"script-src": [SELF]})(super().admin_view(view, cacheable))
