"""What the OpenAPI schema says of a bulk of commands."""

from drf_spectacular.extensions import OpenApiSerializerFieldExtension
from drf_spectacular.openapi import AutoSchema

from accounts.openapi import ACCEPTED_EXAMPLE, COMMAND_HEADERS, COMMAND_PROBLEMS, Operation
from accounts.openapi_fields import JsonSchema
from bank.bulk_content import KINDS, MAX_COMMANDS, BulkSerializer

_ACCEPTED: JsonSchema = {
    "oneOf": [{"$ref": "#/components/schemas/Accepted"}, {"$ref": "#/components/schemas/AcceptedTransfer"}]
}
_ABOUT = {
    "index": {"type": "integer", "minimum": 0, "maximum": MAX_COMMANDS - 1},
    "httpStatus": {"type": "integer", "description": "The status that the command would be answered with alone."},
}
_ACCEPTED_PART: JsonSchema = {
    "required": ["status", "result"],
    "properties": {"status": {"const": "accepted"}, "result": _ACCEPTED},
}
_REFUSED_PART: JsonSchema = {
    "required": ["status", "problem"],
    "properties": {"status": {"const": "refused"}, "problem": {"$ref": "#/components/schemas/Problem"}},
}


def _results(*, atomic: bool, each: JsonSchema) -> JsonSchema:
    """Return the schema of the answer to a bulk, in which each result says where it belongs and is as `each` has it."""
    result = {
        "type": "object",
        **each,
        "required": ["index", "httpStatus", *each.get("required", ())],
        "properties": {**_ABOUT, **each.get("properties", {})},
        "unevaluatedProperties": False,
    }
    return {
        "type": "object",
        "additionalProperties": False,
        "required": ["atomic", "results"],
        "properties": {"atomic": {"const": atomic}, "results": {"type": "array", "items": result}},
    }


ATOMIC_RESULTS = _results(atomic=True, each={"allOf": [_ACCEPTED_PART]})
"""The answer to an atomic bulk."""

ADMISSION: JsonSchema = {
    "type": "object",
    "additionalProperties": False,
    "required": ["atomic", "commands"],
    "properties": {
        "atomic": {"const": False},
        "commands": {"type": "integer", "minimum": 1, "description": "How many; each has a verdict under its own key."},
    },
}
"""What is kept under the key of a bulk whose commands are each by themselves."""

_RESULTS = _results(
    atomic=False,
    each={
        "required": ["replayed"],
        "properties": {"replayed": {"type": "boolean", "description": "This is the answer to an earlier request."}},
        "oneOf": [_ACCEPTED_PART, _REFUSED_PART],
    },
)


class StrictBooleanSchema(OpenApiSerializerFieldExtension):
    """true or false."""

    target_class = "bank.bulk_content.StrictBooleanField"

    def map_serializer_field(self, auto_schema: AutoSchema, direction: str) -> JsonSchema:
        """Return the field's schema."""
        return {"type": "boolean"}


class BulkItemsSchema(OpenApiSerializerFieldExtension):
    """Commands of several kinds, told apart by their type."""

    target_class = "bank.bulk_content.BulkItemsField"

    def map_serializer_field(self, auto_schema: AutoSchema, direction: str) -> JsonSchema:
        """Return the field's schema: each kind is the request that sends it alone, with its type."""
        kinds = [self._kind(auto_schema, name) for name in KINDS]
        return {"type": "array", "minItems": 1, "maxItems": MAX_COMMANDS, "items": {"oneOf": kinds}}

    def _kind(self, auto_schema: AutoSchema, name: str) -> JsonSchema:
        serializer = KINDS[name].serializer_class()
        schema: JsonSchema = auto_schema._map_serializer(serializer, "request")
        return {
            **schema,
            "title": name,
            "required": ["type", *schema.get("required", ())],
            "properties": {"type": {"const": name}, **schema["properties"]},
        }


BULK = Operation(
    operation_id="sendCommands",
    tag="commands",
    summary="Send many commands at once",
    description="Up to 1,000 commands, carried out in their order. With `atomic: false` each is by itself, and has an "
    "answer of its own: 200 says nothing of any of them. With `atomic: true` all of them happen, in one commit, or "
    "none does: then the problem is that of the first that was refused, and `index` says which. Content that is not "
    "valid is refused whole. Under a key of the whole, a command without its own `commandId` has that key, `#` and its "
    "index; the same bulk sent again does what was not done and tells the rest again. A command's own key is the key "
    "that it has in a request of its own.",
    request=BulkSerializer,
    request_example={
        "atomic": False,
        "commands": [
            {"type": "DepositMoney", "accountId": "acc-1", "amount": 1000, "currency": "USD", "commandId": "7f3c"},
            {"type": "WithdrawMoney", "accountId": "acc-1", "amount": 200, "currency": "USD", "commandId": "7f3d"},
        ],
    },
    status=200,
    more_statuses=(201,),
    answer={"oneOf": [_RESULTS, ATOMIC_RESULTS]},
    answer_example={
        "atomic": False,
        "results": [
            {"index": 0, "status": "accepted", "httpStatus": 201, "result": ACCEPTED_EXAMPLE, "replayed": False}
        ],
    },
    headers=tuple(header for header in COMMAND_HEADERS if header.name not in ("ETag", "If-Match")),
    problems=(
        *COMMAND_PROBLEMS,
        "account_exists",
        "account_not_found",
        "account_closed",
        "account_frozen",
        "account_not_frozen",
        "currency_mismatch",
        "insufficient_funds",
        "balance_not_zero",
        "balance_limit_exceeded",
        "destination_not_found",
        "transfer_exists",
    ),
)
