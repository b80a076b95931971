"""The map of the whole site. Each app's own map is headed by its prefix."""

from django.contrib import admin
from django.urls import include, path

from portal.views import docs, errors, health, limits, pages, palette, styleguide

handler400 = errors.bad_request
handler403 = errors.permission_denied
handler404 = errors.not_found
handler500 = errors.server_error

urlpatterns = [
    path("", pages.landing, name="landing"),
    path("dashboard/", pages.dashboard, name="dashboard"),
    path("find/", palette.palette, name="palette"),
    path("docs/", docs.index, name="docs"),
    path("docs/<slug:slug>/", docs.page, name="docs_page"),
    path("styleguide/", styleguide.styleguide, name="styleguide"),
    path("services/", include("services.urls")),
    path("jobs/", include("jobs.urls")),
    path("marketplace/", include("services.marketplace_urls")),
    path("applications/", include("services.application_urls")),
    path("gateway/", include("portal.api.managed.urls")),
    path("", include("portal.api.oauth.urls")),
    path("account/limits/", limits.limits, name="limits"),
    path("account/", include("portal.accounts.urls")),
    path("accounts/", include("allauth.urls")),
    path("favicon.ico", pages.favicon),
    path("admin/", admin.site.urls),
    path("healthz", health.healthz, name="healthz"),
    path("readyz", health.readyz, name="readyz"),
]
