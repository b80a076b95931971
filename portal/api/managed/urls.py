"""/gateway/: the managed-service API. Each address with and without the final slash: a redirect would lose a POST."""

from collections.abc import Callable

from django.http import HttpResponseBase
from django.urls import URLPattern, path

from portal.api.managed import executions, logs, results, schema

app_name = "managed"

ENDPOINT = "<str:account>/<str:service>/<str:version>"


def _both(route: str, view: Callable[..., HttpResponseBase], name: str) -> list[URLPattern]:
    return [path(route, view, name=name), path(f"{route}/", view, name=f"{name}_slash")]


def _below(endpoint: str) -> list[URLPattern]:
    return [
        *_both(f"{endpoint}<str:id>", executions.ExecutionView.as_view(), "execution"),
        *_both(f"{endpoint}<str:id>/result", results.ResultView.as_view(), "result"),
        *_both(f"{endpoint}<str:id>/interim-results", executions.InterimResultsView.as_view(), "interim_results"),
        *_both(f"{endpoint}<str:id>/log", logs.LogView.as_view(), "log"),
        *_both(f"{endpoint}<str:id>/cancel", executions.CancelView.as_view(), "cancel"),
        # A path takes its final slash with it.
        path(f"{endpoint}<str:id>/result/<path:file>", results.ResultFileView.as_view(), name="result_file"),
    ]


urlpatterns = [
    *_both("openapi.json", schema.openapi_json, "openapi_json"),
    *_both("openapi.yaml", schema.openapi_yaml, "openapi_yaml"),
    # /gateway/<account>/<service>/<version>
    *_both(ENDPOINT, executions.ExecutionsView.as_view(), "executions"),
    # planqk-service-sdk puts a slash behind an endpoint that has one already, so `//` is the same as `/`.
    path(f"{ENDPOINT}//", executions.ExecutionsView.as_view(), name="executions_double_slash"),
    *_below(f"{ENDPOINT}//"),
    *_below(f"{ENDPOINT}/"),  # reversing takes the last of a name
]
