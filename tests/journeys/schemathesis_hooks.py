"""What an OpenAPI schema cannot say of a request, said to schemathesis; and a count of the answers."""

import os
from collections import Counter
from pathlib import Path
from typing import Any
from uuid import uuid4

import orjson
import schemathesis
from schemathesis import Case, GenerationMode, HookContext

_used_keys: set[str] = set()
_answers: Counter[str] = Counter()


@schemathesis.hook
def before_call(context: HookContext, case: Case, kwargs: dict[str, Any]) -> None:
    """Make a valid command consistent: it has a key, in one place, and a new one, or it would be a mere repetition."""
    content: Any = case.body
    # What operators have the bank do for itself takes no key.
    if case.method != "POST" or not isinstance(content, dict) or case.operation.path.startswith("/api/admin/"):
        return
    key = content.get("commandId", case.headers.get("Idempotency-Key"))
    if case.meta is None or case.meta.generation.mode is GenerationMode.NEGATIVE:
        # What is wrong with it stays in it, and is all that is.
        if key is None:
            case.headers["Idempotency-Key"] = str(uuid4())
        return
    if key is None or key in _used_keys or "commandId" in content:
        case.headers.pop("Idempotency-Key", None)
        content["commandId"] = key = str(uuid4()) if key is None or key in _used_keys else key
    _used_keys.add(key)
    if "expectedVersion" in content:
        case.headers.pop("If-Match", None)
    for command in (content, *content.get("commands", ())):
        _make_consistent(command, is_part=content.get("atomic") is True and command is not content)


def _make_consistent(command: dict[str, Any], *, is_part: bool) -> None:
    if "destinationAccountId" in command and command["destinationAccountId"] == command["sourceAccountId"]:
        command["destinationAccountId"] = f"acc-{uuid4()}"
    # To JSON Schema 7.0 is a whole number; to the bank it is a fraction that happens to be zero.
    command.update({name: int(value) for name, value in command.items() if type(value) is float})
    if is_part:
        # These belong to the whole then.
        for name in ("commandId", "actor"):
            command.pop(name, None)


@schemathesis.hook
def after_call(context: HookContext, case: Case, response: Any) -> None:
    """Count the answer, by operation and status, in the file that the test reads."""
    _answers[f"{case.operation.method.upper()} {case.operation.path} {response.status_code}"] += 1
    Path(os.environ["ANSWERS_FILE"]).write_bytes(orjson.dumps(_answers))
