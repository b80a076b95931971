"""/marketplace/: the catalogue, and what a consumer sees of a service."""

from django.urls import path

from services.views import marketplace

app_name = "marketplace"
urlpatterns = [
    # /marketplace/
    path("", marketplace.index, name="list"),
    # /marketplace/<account>/<service>/
    path("<slug:account_slug>/<slug:service_slug>/", marketplace.detail, name="detail"),
    path("<slug:account_slug>/<slug:service_slug>/subscribe/", marketplace.subscribe, name="subscribe"),
    path("<slug:account_slug>/<slug:service_slug>/openapi.<str:kind>", marketplace.download, name="openapi_download"),
]
