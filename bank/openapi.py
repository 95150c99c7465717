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

from accounts.openapi import Operation
from accounts.openapi_fields import JsonSchema, text_schema
from accounts.serializers import IDENTIFIER
from bank.by_method import ByMethod
from bank.openapi_operations import OPERATIONS
from bank.openapi_problems import COMPONENTS, problem_answers

Endpoint: TypeAlias = tuple[str, str, str, Callable[..., Any]]

EVERYWHERE = ("internal_error",)
WITH_AUTHENTICATION = ("unauthenticated", "forbidden", "throttled")

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
    "transferId": {"type": "string", "pattern": f"^{IDENTIFIER.pattern}$"},
    "commandId": text_schema(max_length=255),
    "jobId": {"type": "string", "format": "uuid"},
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
        """Return the whole of it; content is required, even where none of its fields is, unless it is optional."""
        operation: dict[str, Any] | None = super().get_operation(*arguments)
        if operation and "requestBody" in operation:
            operation["requestBody"]["required"] = not self.operation.content_is_optional
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
        statuses = (operation.status, *operation.more_statuses)
        return {**{(status, operation.media_type): answer for status in statuses}, **problems}

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
