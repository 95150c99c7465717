"""What the OpenAPI schema says of problems: made from the table of them."""

from collections.abc import Iterable, Mapping
from itertools import groupby
from string import Formatter
from typing import Any

from django.http import HttpRequest
from drf_spectacular.utils import OpenApiExample, OpenApiResponse

from accounts.openapi_fields import JsonSchema
from bank.problems import PROBLEM_TYPES, Problem, problem_document

PROBLEM_MEDIA_TYPE = "application/problem+json"

_PROBLEM: JsonSchema = {
    "type": "object",
    "description": "What went wrong (RFC 9457). Facts of the single case, such as `accountId`, are further members.",
    "required": ["type", "title", "status", "detail", "code", "requestId", "retryable"],
    "properties": {
        "type": {"type": "string", "format": "uri-reference"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string", "description": "The case, in words."},
        "code": {"type": "string", "description": "Stable; the last part of `type`."},
        "requestId": {"type": "string"},
        "retryable": {"type": "boolean", "description": "The same request, sent again unchanged, may succeed."},
        "errors": {"type": "array", "items": {"$ref": "#/components/schemas/InvalidPart"}},
    },
}
_INVALID_PART: JsonSchema = {
    "type": "object",
    "description": "One part of a request that is not valid: where it is, and what is wrong.",
    "additionalProperties": False,
    "required": ["code", "detail"],
    "minProperties": 3,
    "maxProperties": 3,
    "properties": {
        "pointer": {"type": "string", "format": "json-pointer", "description": "A field of the content (RFC 6901)."},
        "parameter": {"type": "string", "description": "A parameter of the query string or of the path."},
        "header": {"type": "string"},
        "code": {"type": "string"},
        "detail": {"type": "string"},
    },
}
_EXAMPLE_FIELDS = {
    "accountId": "acc-1",
    "transferId": "trf-1",
    "balance": 800,
    "amount": 1000,
    "currency": "USD",
    "accountCurrency": "EUR",
    "expectedVersion": 3,
    "actualVersion": 5,
}
_INVALID_FIELD = {"pointer": "/memo", "code": "unknown_field", "detail": "There is no such field here."}
_INVALID_PARAMETER = {"parameter": "page", "code": "unknown_field", "detail": "There is no such parameter here."}

COMPONENTS: Mapping[str, JsonSchema] = {"Problem": _PROBLEM, "InvalidPart": _INVALID_PART}


def problem_answers(*, codes: Iterable[str], has_content: bool) -> dict[tuple[int, str], OpenApiResponse]:
    """Return the answers to a request, with content or without, that tell the problems of these codes, by status."""
    invalid_part = _INVALID_FIELD if has_content else _INVALID_PARAMETER

    def status_of(code: str) -> int:
        return PROBLEM_TYPES[code].status

    by_status = groupby(sorted(codes, key=lambda code: (status_of(code), code)), key=status_of)
    return {
        (status, PROBLEM_MEDIA_TYPE): _problem_answer(status, list(group), invalid_part) for status, group in by_status
    }


def _problem_answer(status: int, codes: list[str], invalid_part: Mapping[str, str]) -> OpenApiResponse:
    return OpenApiResponse(
        {
            "allOf": [
                {"$ref": "#/components/schemas/Problem"},
                {"properties": {"status": {"const": status}, "code": {"enum": codes}}},
            ]
        },
        description=" · ".join(PROBLEM_TYPES[code].title for code in codes),
        examples=[
            OpenApiExample(code, _problem_example(code, invalid_part), media_type=PROBLEM_MEDIA_TYPE) for code in codes
        ],
    )


def _problem_example(code: str, invalid_part: Mapping[str, str]) -> dict[str, Any]:
    """Return a case of the problem, with the facts that its wording mentions."""
    mentioned = [name for _, name, _, _ in Formatter().parse(PROBLEM_TYPES[code].detail) if name]
    problem = Problem(
        code=code,
        fields={name: _EXAMPLE_FIELDS[name] for name in mentioned},
        errors=(invalid_part,) if code == "validation_error" else (),
    )
    request = HttpRequest()
    request.META["HTTP_X_REQUEST_ID"] = "5f2c7c3e-7f0e-4f0c-8c55-0a6e6f1c9d11"
    return problem_document(problem=problem, request=request)
