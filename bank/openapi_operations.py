"""What the OpenAPI schema says of every operation: the apps' own words, and those on what the bank itself answers."""

import accounts.openapi
import projections.job_openapi
import projections.openapi
import projections.repair_openapi
import projections.transfer_openapi
import transfers.openapi
from accounts.openapi import Operation, Operations
from accounts.openapi_fields import text_schema
from accounts.serializers import NoQuery
from bank import api_docs, health
from bank.bulk_commands import BulkView
from bank.bulk_openapi import ADMISSION, ATOMIC_RESULTS, BULK
from bank.command_outcomes import CommandOutcomeView
from bank.metrics import MetricsView

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
                    "result": {
                        "oneOf": [
                            {"$ref": "#/components/schemas/Accepted"},
                            {"$ref": "#/components/schemas/AcceptedTransfer"},
                            ATOMIC_RESULTS,
                            ADMISSION,
                        ]
                    },
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
    description="`degraded` while streams are parked, or a verification has found something that differs. While "
    "something does not work the answer is 503, with the same checks as members of the problem.",
    answer={
        "type": "object",
        "additionalProperties": False,
        "required": ["status", "database", "broker", "projections", "verification"],
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
            "verification": {
                "type": "object",
                "additionalProperties": False,
                "required": ["status", "differences", "ageSeconds"],
                "properties": {
                    "status": {"enum": ["ok", "differs", "not_applicable"]},
                    "differences": {"type": "integer", "description": "What verifications found and is not mended."},
                    "ageSeconds": {
                        "type": ["number", "null"],
                        "description": "Within this time all that was there has been verified; null before the first.",
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
        "verification": {"status": "ok", "differences": 0, "ageSeconds": 42.5},
    },
    problems=("not_ready",),
)

OPERATIONS: Operations = {
    **accounts.openapi.OPERATIONS,
    **projections.openapi.OPERATIONS,
    **transfers.openapi.OPERATIONS,
    **projections.transfer_openapi.OPERATIONS,
    **projections.repair_openapi.OPERATIONS,
    BulkView: BULK,
    **projections.job_openapi.OPERATIONS,
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
        description="While the database is away a token cannot be looked up, so that the answer to it is 503; to the "
        "one that the bank has for metrics alone it is 200, with `bank_store_up 0`.",
        answer={"type": "string"},
        media_type="text/plain",
        problems=("store_unavailable",),
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
