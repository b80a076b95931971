"""/token and its relatives (RFC 6749, 7009, 7662, 8414), with and without the final slash: never a redirect."""

from django.urls import path

from portal.api.oauth import views

app_name = "oauth"
urlpatterns = [
    # /token
    path("token", views.token, name="token"),
    path("token/", views.token),
    # /oauth/
    path("oauth/revoke", views.revoke, name="revoke"),
    path("oauth/revoke/", views.revoke),
    path("oauth/introspect", views.introspect, name="introspect"),
    path("oauth/introspect/", views.introspect),
    # /.well-known/
    path(".well-known/oauth-authorization-server", views.metadata, name="metadata"),
    path(".well-known/oauth-authorization-server/", views.metadata),
]
