"""/services/: what providers see of their services."""

from django.urls import path

from services.views import builds, contracts, publication, runtime, services, usage, versions

app_name = "services"
urlpatterns = [
    # /services/
    path("", services.index, name="list"),
    path("new/", services.create, name="create"),
    path("template.zip", services.template, name="template"),
    path("openapi-spec.yml", contracts.template, name="openapi_template"),
    path("description-preview/", services.preview_description, name="preview_description"),
    # /services/<id>/
    path("<uuid:service_id>/", services.detail, name="detail"),
    path("<uuid:service_id>/api/", contracts.api, name="api"),
    path("<uuid:service_id>/api/openapi.<str:kind>", contracts.download, name="openapi_download"),
    path("<uuid:service_id>/runtime/", runtime.index, name="runtime"),
    path("<uuid:service_id>/settings/", services.settings, name="settings"),
    path("<uuid:service_id>/publication/", publication.index, name="publication"),
    path("<uuid:service_id>/shares/", publication.share, name="share"),
    path("<uuid:service_id>/shares/<int:share_id>/remove/", publication.unshare, name="unshare"),
    path("<uuid:service_id>/usage/", usage.index, name="usage"),
    path("<uuid:service_id>/delete/", services.delete, name="delete"),
    # /services/<id>/versions/
    path("<uuid:service_id>/versions/", versions.index, name="versions"),
    path("<uuid:service_id>/versions/new/", versions.create, name="version_create"),
    path("<uuid:service_id>/versions/<uuid:version_id>/rebuild/", versions.rebuild, name="rebuild"),
    path("<uuid:service_id>/versions/<uuid:version_id>/operation/", runtime.operate, name="operate"),
    path("<uuid:service_id>/versions/<uuid:version_id>/variables/", runtime.set_variable, name="variable_set"),
    path(
        "<uuid:service_id>/versions/<uuid:version_id>/variables/<str:variable>/remove/",
        runtime.remove_variable,
        name="variable_remove",
    ),
    path("<uuid:service_id>/versions/<uuid:version_id>/publish/", publication.publish, name="publish"),
    path("<uuid:service_id>/versions/<uuid:version_id>/retire/", publication.retire, name="retire"),
    path("<uuid:service_id>/versions/<uuid:version_id>/api/edit/", contracts.edit, name="api_edit"),
    # /services/<id>/builds/
    path("<uuid:service_id>/builds/", builds.index, name="builds"),
    path("<uuid:service_id>/builds/<uuid:build_id>/", builds.detail, name="build"),
    path("<uuid:service_id>/builds/<uuid:build_id>/log/stream", builds.stream_log, name="build_log_stream"),
    path("<uuid:service_id>/builds/<uuid:build_id>/log.txt", builds.download_log, name="build_log_download"),
]
