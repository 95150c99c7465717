"""Did it go through? The verdicts on commands, for the clients that sent them."""

from typing import Any

from django.http import HttpRequest, HttpResponse

from accounts.api_view import ApiView, json_answer
from accounts.command_context import client_key
from accounts.permissions import Permission
from accounts.serializers import NoQuery, read_path_command_key
from bank.problems import Problem, problem_response
from bank.verdicts import told
from eventstore.records import CommandRecord
from eventstore.store import event_store
from transfers.handlers import as_it_stands


class CommandOutcomeView(ApiView):
    """What became of the command that this client sent under a key, be it commandId or Idempotency-Key."""

    permission = Permission.VIEW_OWN_COMMANDS

    def get(self, request: HttpRequest, command_id: str) -> HttpResponse:
        """Answer 200 with the verdict, or 404 if there is none under that key.

        A command that is still under way has none yet: to send it again, with its key, is what settles it. None is
        ever kept of one that was not valid or met another version, and refusals are kept for a time only.
        """
        NoQuery.read(data=request.GET)
        key = client_key(request=request, key=read_path_command_key(name="commandId", value=command_id))
        record = event_store().load([], command_key=key).command
        if record is None:
            missing = Problem(code="not_found", detail="This client has no verdict under that key.")
            return problem_response(problem=missing, request=request)
        return json_answer(content=_document(record, request), headers={"Cache-Control": "no-store"})


def _document(record: CommandRecord, request: HttpRequest) -> dict[str, Any]:
    """Return the verdict, its time, and as `result` or `problem` what the command would be answered if sent again."""
    outcome = as_it_stands(outcome=record.outcome) if "transferId" in record.result else record.outcome
    about = {"commandId": record.key.key, "recordedAt": record.recorded_at, "position": outcome.last_position}
    return {**about, **told(outcome=outcome, request=request)}
