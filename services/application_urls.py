"""/applications/: the clients of an account, their secrets and subscriptions."""

from django.urls import path

from services.views import application_subscriptions as subscriptions
from services.views import applications

app_name = "applications"
urlpatterns = [
    # /applications/
    path("", applications.index, name="list"),
    path("new/", applications.create, name="create"),
    # /applications/<id>/
    path("<uuid:application_id>/", applications.detail, name="detail"),
    path("<uuid:application_id>/settings/", applications.settings, name="settings"),
    path("<uuid:application_id>/delete/", applications.delete, name="delete"),
    path("<uuid:application_id>/secrets/new/", applications.create_secret, name="secret_create"),
    path("<uuid:application_id>/subscribe/", subscriptions.subscribe, name="subscribe"),
    # /applications/secrets/<id>/
    path("secrets/<uuid:secret_id>/revoke/", applications.revoke_secret, name="secret_revoke"),
    # /applications/subscriptions/<id>/
    path("subscriptions/<uuid:subscription_id>/upgrade/", subscriptions.upgrade, name="upgrade"),
    path("subscriptions/<uuid:subscription_id>/unsubscribe/", subscriptions.unsubscribe, name="unsubscribe"),
]
