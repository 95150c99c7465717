"""The OpenAPI schema of the whole bank: each URL's views, joined with what their apps say of them."""

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeAlias

from django.urls import URLPattern, get_resolver
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.openapi import AutoSchema
from drf_spectacular.plumbing import ResolvedComponent
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, OpenApiResponse
from rest_framework.views import APIView

import accounts.openapi
import projections.openapi
from accounts.openapi import Operation, Operations
from accounts.openapi_fields import JsonSchema, text_schema
from accounts.serializers import IDENTIFIER
from bank import api_docs, health
from bank.by_method import ByMethod
from bank.command_outcomes import CommandOutcomeView
from bank.metrics import MetricsView
from bank.openapi_problems import COMPONENTS, problem_answers
from projections.serializers import NoQuery

Endpoint: TypeAlias = tuple[str, str, str, Callable[..., Any]]

EVERYWHERE = ("internal_error",)
WITH_AUTHENTICATION = ("unauthenticated", "forbidden", "throttled")

_COMMAND_OUTCOME = Operation(
    operation_id="getCommandOutcome",
    tag="commands",
    summary="Ask whether a command went through",
    description="The verdict on the command that this client sent under this key, be it `commandId` or "
    "`Idempotency-Key`. There is none while the command is under way, nor of one that was invalid or met another "
    "version; refusals are kept for a time.",
    query=NoQuery,
    answer={
        "type": "object",
        "required": ["commandId", "recordedAt", "position", "status", "httpStatus"],
        "properties": {
            "commandId": text_schema(max_length=255),
            "recordedAt": {"type": "string", "format": "date-time"},
            "position": {"type": ["integer", "null"], "format": "int64", "minimum": 1},
            "httpStatus": {"type": "integer", "description": "The status that the command was answered with."},
        },
        "oneOf": [
            {
                "required": ["result"],
                "properties": {
                    "status": {"const": "accepted"},
                    "result": {"$ref": "#/components/schemas/Accepted"},
                },
            },
            {
                "required": ["problem"],
                "properties": {"status": {"const": "refused"}, "problem": {"$ref": "#/components/schemas/Problem"}},
            },
        ],
        "unevaluatedProperties": False,
    },
    answer_example={
        "commandId": "7f3c",
        "recordedAt": "2026-03-22T10:05:00.000Z",
        "position": 42,
        "status": "accepted",
        "httpStatus": 201,
        "result": accounts.openapi.ACCEPTED_EXAMPLE,
    },
    problems=("validation_error", "not_found", "store_unavailable"),
)

_HEALTH = Operation(
    operation_id="getHealth",
    tag="health",
    summary="Tell whether the bank can serve",
    answer={
        "type": "object",
        "additionalProperties": False,
        "required": ["status", "store", "database"],
        "properties": {
            "status": {"const": "ok"},
            "store": {"enum": ["postgres", "in-memory"]},
            "database": {"const": "ok"},
        },
    },
    answer_example={"status": "ok", "store": "postgres", "database": "ok"},
    problems=("store_unavailable",),
)

_CHECKS_EXAMPLE = {"lagEvents": 3, "ageSeconds": 0.012, "heartbeatAgeSeconds": 0.4, "parked": 0, "status": "ok"}
_READY = Operation(
    operation_id="getReadiness",
    tag="health",
    summary="Tell whether everything works",
    description="`degraded` while streams are parked. While something does not work the answer is 503, with the same "
    "checks as members of the problem.",
    answer={
        "type": "object",
        "additionalProperties": False,
        "required": ["status", "database", "broker", "projections"],
        "properties": {
            "status": {"enum": ["ok", "degraded"]},
            "database": {"const": "ok"},
            "broker": {"enum": ["ok", "not_applicable"]},
            "projections": {
                "type": "object",
                "additionalProperties": {
                    "type": "object",
                    "additionalProperties": False,
                    "required": ["status", "lagEvents", "ageSeconds", "heartbeatAgeSeconds", "parked"],
                    "properties": {
                        "status": {"enum": ["ok", "parked"]},
                        "lagEvents": {"type": "integer", "description": "Events of the log it has not seen."},
                        "ageSeconds": {"type": "number", "description": "Since the first of them was recorded."},
                        "heartbeatAgeSeconds": {"type": "number", "description": "Since a worker looked after it."},
                        "parked": {"type": "integer", "description": "Streams that it cannot go on with."},
                    },
                },
            },
        },
    },
    answer_example={
        "status": "ok",
        "database": "ok",
        "broker": "ok",
        "projections": {"account_summary": _CHECKS_EXAMPLE, "account_statement": _CHECKS_EXAMPLE},
    },
    problems=("not_ready",),
)

OPERATIONS: Operations = {
    **accounts.openapi.OPERATIONS,
    **projections.openapi.OPERATIONS,
    CommandOutcomeView: _COMMAND_OUTCOME,
    health.health: _HEALTH,
    health.ready: _READY,
    health.live: Operation(
        operation_id="getLiveness",
        tag="health",
        summary="Tell that the process answers",
        answer={
            "type": "object",
            "additionalProperties": False,
            "required": ["status"],
            "properties": {"status": {"const": "ok"}},
        },
        answer_example={"status": "ok"},
    ),
    MetricsView: Operation(
        operation_id="getMetrics",
        tag="metrics",
        summary="Tell Prometheus what the bank has counted",
        answer={"type": "string"},
        media_type="text/plain",
    ),
    api_docs.schema: Operation(
        operation_id="getSchema",
        tag="documentation",
        summary="This schema",
        answer={"type": "object"},
        media_type=api_docs.SCHEMA_MEDIA_TYPE,
    ),
    api_docs.page: Operation(
        operation_id="getDocs",
        tag="documentation",
        summary="This schema, for people",
        answer={"type": "string"},
        media_type="text/html",
    ),
}

_TRACING_HEADERS = (
    OpenApiParameter(
        "X-Request-Id",
        {"type": "string"},
        OpenApiParameter.HEADER,
        description="The sender's name for the request: up to 128 of A-Z a-z 0-9 . _ : / + = -; any other is replaced.",
    ),
    OpenApiParameter(
        "X-Correlation-Id",
        {"type": "string"},
        OpenApiParameter.HEADER,
        description="What the request belongs to, kept in the events it leads to; the request's id, if there is none.",
    ),
)
_ANSWER_HEADERS = (
    OpenApiParameter(
        "X-Request-Id",
        {"type": "string"},
        OpenApiParameter.HEADER,
        required=True,
        description="The request's id, as it is in the bank's logs.",
        response=True,
    ),
    OpenApiParameter(
        "Allow",
        {"type": "string"},
        OpenApiParameter.HEADER,
        description="The methods that the URL takes.",
        response=True,
    ),
    OpenApiParameter(
        "WWW-Authenticate",
        {"type": "string"},
        OpenApiParameter.HEADER,
        required=True,
        response=[401],
    ),
    OpenApiParameter(
        "Retry-After",
        {"type": "integer", "minimum": 1},
        OpenApiParameter.HEADER,
        required=True,
        description="Seconds.",
        response=[429, 503],
    ),
)
_PATH_PARAMETERS: Mapping[str, JsonSchema] = {
    "accountId": {"type": "string", "pattern": f"^{IDENTIFIER.pattern}$"},
    "commandId": text_schema(max_length=255),
}


def described_endpoints(*, endpoints: Iterable[Endpoint]) -> list[Endpoint]:
    """Return each method of each path, with its own view; DRF's own search, `endpoints`, sees none of them."""
    return [
        (_templated(str(pattern.pattern)), str(pattern.pattern), method, _class_based(view))
        for pattern in get_resolver().url_patterns
        if isinstance(pattern, URLPattern) and isinstance(pattern.callback, ByMethod)
        for method, view in pattern.callback.views.items()
        if method != "HEAD"
    ]


class BearerScheme(OpenApiAuthenticationExtension):
    """How clients authenticate themselves."""

    target_class = "bank.authentication.BearerTokenAuthentication"
    name = "bearer"

    def get_security_definition(self, auto_schema: AutoSchema) -> JsonSchema:
        """Return the scheme."""
        return {"type": "http", "scheme": "bearer"}


class OperationSchema(AutoSchema):
    """One operation, as its entry in OPERATIONS describes it."""

    @property
    def operation(self) -> Operation:
        """The entry; a view without one is a KeyError, for nothing goes undescribed."""
        return OPERATIONS[getattr(self.view, "function", type(self.view))]

    def get_operation(self, *arguments: Any) -> dict[str, Any] | None:
        """Return the whole of it; content is required, even where none of its fields is."""
        operation: dict[str, Any] | None = super().get_operation(*arguments)
        if operation and "requestBody" in operation:
            operation["requestBody"]["required"] = True
        return operation

    def get_operation_id(self) -> str:
        """Return the operation's name, unique for each path."""
        return self.operation.operation_id + ("AtRoot" if self.path == "/health" else "")

    def get_tags(self) -> list[str]:
        """Return its section."""
        return [self.operation.tag]

    def get_summary(self) -> str:
        """Return its title."""
        return self.operation.summary

    def get_description(self) -> str:  # type: ignore[override]
        """Return what there is to know beyond the title."""
        return self.operation.description

    def get_request_serializer(self) -> Any:
        """Return what it reads."""
        return self.operation.request

    def get_override_parameters(self) -> list[Any]:
        """Return what is in query string, path and headers, those of its answers among them."""
        operation = self.operation
        path = [
            OpenApiParameter(name, _PATH_PARAMETERS[name], OpenApiParameter.PATH, required=True)
            for name in re.findall(r"{(\w+)}", self.path)
        ]
        query = [operation.query] if operation.query else []
        return [*path, *query, *_TRACING_HEADERS, *operation.headers, *_ANSWER_HEADERS]

    def get_response_serializers(self) -> Any:
        """Return its answer and its problems."""
        operation = self.operation
        codes = {*operation.problems, *EVERYWHERE, *(WITH_AUTHENTICATION if self.view.get_authenticators() else ())}
        answer = OpenApiResponse(operation.answer, description=operation.summary)
        for name, schema in COMPONENTS.items():
            component = ResolvedComponent(name, ResolvedComponent.SCHEMA, schema=schema, object=name)
            self.registry.register_on_missing(component)
        problems = problem_answers(codes=codes, has_content=operation.request is not None)
        return {(operation.status, operation.media_type): answer, **problems}

    def get_examples(self) -> list[OpenApiExample]:
        """Return a request, and the answer to it."""
        operation = self.operation
        examples = [
            OpenApiExample("request", operation.request_example, request_only=True),
            OpenApiExample("answer", operation.answer_example, response_only=True, status_codes=[operation.status]),
        ]
        return [example for example in examples if example.value is not None]


def _templated(route: str) -> str:
    """Return a route of Django's as OpenAPI writes paths: `/api/accounts/{accountId}`."""
    return "/" + re.sub(r"<(?:\w+:)?(\w+)>", lambda found: "{" + _camel_case(found[1]) + "}", route)


def _camel_case(name: str) -> str:
    return re.sub(r"_(\w)", lambda found: found[1].upper(), name)


def _class_based(view: Callable[..., Any]) -> Callable[..., Any]:
    """Return `view`, or a stand-in for one that is a plain function: drf-spectacular knows classes alone."""
    if hasattr(view, "cls"):
        return view

    class FunctionView(APIView):
        authentication_classes = ()
        function = staticmethod(view)
        get = function

    return FunctionView.as_view()
