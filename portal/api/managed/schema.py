"""The description of the gateway as OpenAPI: what its addresses take and answer, errors included. drf-spectacular makes
the document from it; `python manage.py spectacular` prints it, and /gateway/openapi.json serves it.
"""

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, TypeVar

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.renderers import OpenApiJsonRenderer2, OpenApiYamlRenderer2
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema, extend_schema_serializer
from rest_framework import serializers

from portal.lib.errors import CODES, CONTENT_TYPE, readable_only

Handler = TypeVar("Handler", bound=Callable[..., Any])

STATUSES = ("PENDING", "RUNNING", "SUCCEEDED", "CANCELLED", "FAILED")
SEVERITIES = ("DEBUG", "INFO", "NOTICE", "WARNING", "ERROR")
TIME = r"^\d{4}-\d{2}-\d{2} \d{2}:\d{2}:\d{2}$"


@extend_schema_serializer(component_name="Link")
class LinkOutput(serializers.Serializer):
    href = serializers.URLField()


@extend_schema_serializer(component_name="ExecutionLinks")
class ExecutionLinksOutput(serializers.Serializer):
    self = LinkOutput()
    result = LinkOutput()
    log = LinkOutput()
    cancel = LinkOutput()


@extend_schema_serializer(component_name="Progress")
class ProgressOutput(serializers.Serializer):
    """How far the code says it is."""

    fraction = serializers.FloatField(min_value=0, max_value=1)
    message = serializers.CharField(allow_blank=True)
    at = serializers.RegexField(TIME)


@extend_schema_serializer(component_name="Execution")
class ExecutionOutput(serializers.Serializer):
    """One run of a service. Times are UTC; one that is not known yet is left out."""

    id = serializers.UUIDField()
    createdAt = serializers.RegexField(TIME)  # noqa: N815 (the names are those of the API)
    startedAt = serializers.RegexField(TIME, required=False)  # noqa: N815
    endedAt = serializers.RegexField(TIME, required=False)  # noqa: N815
    status = serializers.ChoiceField(STATUSES)
    type = serializers.ChoiceField(["MANAGED"])
    serviceId = serializers.UUIDField()  # noqa: N815
    serviceDefinitionId = serializers.UUIDField(help_text="the version of the service that ran")  # noqa: N815
    applicationId = serializers.UUIDField()  # noqa: N815
    tags = serializers.ListField(child=serializers.CharField())
    progress = ProgressOutput(required=False, help_text="while it runs, if its code says so")
    _links = ExecutionLinksOutput(label="Links")


@extend_schema_serializer(component_name="InterimResult")
class InterimResultOutput(serializers.Serializer):
    """A result before the end. `number` counts from 1; the newest 20 are kept."""

    number = serializers.IntegerField(min_value=1)
    createdAt = serializers.RegexField(TIME)  # noqa: N815
    result = serializers.JSONField()


@extend_schema_serializer(component_name="Line")
class LineOutput(serializers.Serializer):
    """A line of a log. `id` names the place behind it: `?after=<id>` and `Last-Event-ID` go on from there."""

    id = serializers.RegexField(r"^[0-9]+-[0-9]+(-[0-9]+)?$")
    timestamp = serializers.DateTimeField()
    severity = serializers.ChoiceField(SEVERITIES)
    message = serializers.CharField(allow_blank=True, trim_whitespace=False)


@extend_schema_serializer(component_name="Problem")
class ProblemOutput(serializers.Serializer):
    """Why a call was refused (RFC 9457). Some codes bring further members; docs/errors.md names them."""

    type = serializers.CharField(help_text="a reference to the documentation of the code")
    title = serializers.CharField()
    status = serializers.IntegerField(min_value=400, max_value=599)
    detail = serializers.CharField(help_text="what happened, why, and what to do next")
    instance = serializers.CharField(help_text="the address that was called")
    code = serializers.ChoiceField(sorted(CODES))
    request_id = serializers.CharField(help_text="how the server's log names the call")


EXECUTIONS = {
    "oneOf": [
        {"type": "array", "items": {"$ref": "#/components/schemas/Execution"}},
        {"type": "object", "required": ["status"], "properties": {"status": {"type": "string", "enum": ["UP"]}}},
    ]
}
RESULT = {
    "type": "object",
    "additionalProperties": True,
    "description": "The keys of what run() returned (or `result`, where that is no object), or why there is no "
    "result: `code`, `detail` and the members of RFC 9457. A version of the old dialect answers `metadata` and "
    "`result`, or `code` and `detail`.",
    "properties": {
        "_embedded": {"type": "object", "properties": {"status": {"$ref": "#/components/schemas/Execution"}}},
        "_links": {"type": "object", "additionalProperties": {"$ref": "#/components/schemas/Link"}},
    },
}
INPUT = {
    "type": "object",
    "additionalProperties": True,
    "description": "What the API description of the service says: as a rule `data` and `params`, each at most "
    f"{settings.INPUT_MAX_BYTES:,} bytes, and the reserved keys.",
    "properties": {
        "data": {},
        "params": {},
        "$secrets": {"type": "object", "additionalProperties": {"type": "string"}},
        "$tags": {"type": "array", "items": {"type": "string"}},
    },
}
FILE = {"description": "the bytes of the file, of whatever type it is"}
PLACE = {"type": "string", "pattern": r"^[0-9]{1,5}-[0-9]{1,18}(-[0-9]{1,18})?$"}


def _path(name: str, description: str) -> OpenApiParameter:
    return OpenApiParameter(name, OpenApiTypes.STR, OpenApiParameter.PATH, description=description)


ENDPOINT = [
    _path("account", "the slug of the provider's account"),
    _path("service", "the slug of the service"),
    _path("version", "the number of the version"),
]
EXECUTION = OpenApiParameter("id", OpenApiTypes.UUID, OpenApiParameter.PATH, description="the id of the execution")
LIMIT = OpenApiParameter(
    "limit", {"type": "integer", "minimum": 1, "maximum": 1000, "default": 100}, description="the newest so many"
)
PREFER = OpenApiParameter(
    "Prefer",
    OpenApiTypes.STR,
    OpenApiParameter.HEADER,
    description="`wait=N`: answer when the execution has ended, at most N seconds (at most 60) from now (RFC 7240)",
)


def _header(name: str, description: str, *statuses: int) -> OpenApiParameter:
    return OpenApiParameter(
        name, OpenApiTypes.STR, OpenApiParameter.HEADER, description=description, response=list(statuses)
    )


APPLIED = "the preference that was followed: the answer is that of the end, or of the time that was waited"
PROBLEMS: Mapping[int, str] = {
    400: "The address, a header or the body cannot be meant",
    401: "The access token is missing, unknown, expired or revoked",
    403: "The version takes no new executions",
    404: "No such service, execution, result or file for this application",
    405: "The method does nothing here",
    413: "The input is too large",
    415: "The body is no JSON",
    416: "The file does not have this range",
    422: "The Idempotency-Key belongs to another request",
    429: "As many executions of the account wait, or live logs of it are open, as may; nothing was accepted",
    500: "Something broke on our side",
    503: "The server cannot answer now",
}
ALWAYS = (400, 401, 404, 500, 503)
LATER = (429, 503)


def _described(
    name: str,
    *,
    answers: Mapping[Any, Any],
    problems: tuple[int, ...] = (),
    later: tuple[int, ...] = LATER,
    parameters: tuple[OpenApiParameter, ...] = (),
    **options: Any,
) -> Callable[[Handler], Handler]:
    refused = sorted({*ALWAYS, *problems})
    headers = [
        _header("WWW-Authenticate", "how to authenticate (RFC 6750)", 401),
        _header("Retry-After", "seconds until it is worth asking again", *(set(later) & set(refused))),
    ]
    return extend_schema(
        operation_id=name,
        tags=["gateway"],
        parameters=[*ENDPOINT, *parameters, *headers],
        responses={
            **answers,
            **{(status, CONTENT_TYPE): OpenApiResponse(ProblemOutput, PROBLEMS[status]) for status in refused},
        },
        **options,
    )


list_executions = _described(
    "list_executions",
    summary="List the executions of this application, newest first",
    parameters=(
        LIMIT,
        OpenApiParameter("status", OpenApiTypes.STR, enum=STATUSES),
        OpenApiParameter("tag", {"type": "string", "minLength": 1}, description="those started with this tag"),
        OpenApiParameter("before", OpenApiTypes.UUID, description="those older than this one; `Link` has it"),
        _header("Link", 'the next page: `<…>; rel="next"`; none on the last', 200),
    ),
    answers={(200, "application/json"): OpenApiResponse(EXECUTIONS, "The executions; in the old dialect the health")},
)
start_execution = _described(
    "start_execution",
    summary="Start an execution",
    request={"application/json": INPUT},
    parameters=(
        PREFER,
        OpenApiParameter(
            "Idempotency-Key",
            {"type": "string", "maxLength": 255},
            OpenApiParameter.HEADER,
            description="a text of the caller's: the same call again gets the same execution",
        ),
        _header("Location", "the address of the execution", 201),
        _header("Preference-Applied", APPLIED, 201),
    ),
    answers={201: OpenApiResponse(ExecutionOutput, "The execution is accepted, and will not be lost")},
    problems=(403, 413, 415, 422, 429),
)
get_execution = _described(
    "get_execution",
    summary="One execution and its status",
    parameters=(EXECUTION, PREFER, _header("Preference-Applied", APPLIED, 200)),
    answers={200: ExecutionOutput},
)
get_result = _described(
    "get_result",
    summary="The result of an execution, or why there is none",
    parameters=(EXECUTION,),
    answers={(200, "application/json"): OpenApiResponse(RESULT, "The execution has ended")},
    later=(404, *LATER),
)
get_result_file = _described(
    "get_result_file",
    summary="A file that an execution left",
    parameters=(
        EXECUTION,
        OpenApiParameter("file", OpenApiTypes.STR, OpenApiParameter.PATH, description="its name, folders included"),
        OpenApiParameter("Range", OpenApiTypes.STR, OpenApiParameter.HEADER, description="`bytes=…` (RFC 9110)"),
        _header("Content-Range", "which bytes these are", 206, 416),
        _header("Content-Disposition", "always `attachment`, with the name of the file", 200, 206),
        _header("Accept-Ranges", "`bytes`", 200, 206),
    ),
    answers={
        (200, "*/*"): OpenApiResponse(FILE, "The file, with the content type that its name suggests"),
        (206, "*/*"): OpenApiResponse(FILE, "The range of the file"),
    },
    problems=(416,),
    later=(404, *LATER),
)
get_log = _described(
    "get_log",
    summary="What an execution printed, oldest line first",
    parameters=(
        EXECUTION,
        OpenApiParameter("after", PLACE, description="the `id` of a line: only newer ones"),
        OpenApiParameter("Last-Event-ID", PLACE, OpenApiParameter.HEADER, description="the same"),
    ),
    answers={
        (200, "application/json"): OpenApiResponse(LineOutput(many=True), "The lines so far"),
        (200, "text/event-stream"): OpenApiResponse(
            OpenApiTypes.STR, "The lines as events `line` as they come, and `end` behind the last"
        ),
    },
    problems=(429,),
)
list_interim_results = _described(
    "list_interim_results",
    summary="What the code of an execution announced before its end, newest last",
    parameters=(EXECUTION, LIMIT),
    answers={200: OpenApiResponse(InterimResultOutput(many=True), "The newest 20; an empty list where there are none")},
)
cancel_execution = _described(
    "cancel_execution",
    summary="Ask for the end of an execution; one that has ended stays as it is",
    request=None,
    parameters=(EXECUTION,),
    answers={200: ExecutionOutput},
)


def only_gateway(endpoints: list[tuple[str, str, str, Any]]) -> list[tuple[str, str, str, Any]]:
    """Of each address the form without slashes to spare; and nothing that is not the gateway's."""
    return [
        (path, *rest)
        for path, *rest in endpoints
        if path.startswith("/gateway/") and not path.endswith("/") and "//" not in path
    ]


@readable_only
def openapi_json(request: HttpRequest) -> HttpResponse:
    """The description, for anybody."""
    return HttpResponse(_document()[0], content_type="application/json")


@readable_only
def openapi_yaml(request: HttpRequest) -> HttpResponse:
    """The same as YAML."""
    return HttpResponse(_document()[1], content_type="application/yaml")


@lru_cache(maxsize=1)
def _document() -> tuple[bytes, bytes]:
    document = SchemaGenerator().get_schema(request=None, public=True)
    return OpenApiJsonRenderer2().render(document), OpenApiYamlRenderer2().render(document)
