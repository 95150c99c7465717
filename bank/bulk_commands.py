"""POST /api/commands: many commands in one request, each by itself, or all of them or none."""

import logging
from collections.abc import Sequence
from typing import Any

from django.http import HttpRequest, HttpResponse
from rest_framework.exceptions import PermissionDenied

from accounts.api_view import ApiView, json_answer
from accounts.permissions import Permission, principal_in
from accounts.views import read_content
from bank.bulk_content import BulkItem, BulkSerializer
from bank.bulk_executions import admission, bulk_context, each_by_itself, together
from bank.problems import problem_of
from bank.verdicts import content_of, refused, told
from eventstore.exceptions import CommandRefused
from eventstore.execution import Execution, carry_out, execute_many
from eventstore.records import Outcome
from transfers.domain.commands import InitiateTransfer
from transfers.handlers import brought_on

logger = logging.getLogger(__name__)


class BulkView(ApiView):
    """Carries out up to MAX_COMMANDS commands, in their order."""

    permission = Permission.SEND_COMMANDS

    def post(self, request: HttpRequest) -> HttpResponse:
        """Answer 200 with the answer to each command; 201 if they are atomic, or the problem that keeps all from it.

        Each command needs the permission that it needs alone, and counts as a request.
        """
        fields = read_content(request=request, serializer_class=BulkSerializer)
        items: list[BulkItem] = fields["commands"]
        self._admit_each(request, items)
        whole = bulk_context(request=request, fields=fields)
        if fields["atomic"]:
            return _answer_to_all(carry_out(execution=together(request=request, items=items, whole=whole)))
        executions = each_by_itself(request=request, items=items, whole=whole)
        if whole.key:
            carry_out(execution=admission(whole=whole, commands=len(items)))
        answers = execute_many(executions=executions)
        results = [
            {"index": index, **_result(execution, answer, request)}
            for index, (execution, answer) in enumerate(zip(executions, answers, strict=True))
        ]
        return json_answer(content={"atomic": False, "results": results})

    def _admit_each(self, request: HttpRequest, items: Sequence[BulkItem]) -> None:
        principal = principal_in(request)
        if principal and not {item.kind.permission for item in items} <= principal.permissions:
            raise PermissionDenied
        # The request itself has been counted.
        for _ in items[1:]:
            self.check_throttles(request)  # type: ignore[arg-type]


def _answer_to_all(outcome: Outcome) -> HttpResponse:
    if outcome.refused:
        raise CommandRefused(outcome=outcome)
    headers = {"Idempotent-Replayed": "true"} if outcome.replayed else {}
    return json_answer(content=content_of(outcome=outcome), status=201, headers=headers)


def _result(execution: Execution, answer: Outcome | Exception, request: HttpRequest) -> dict[str, Any]:
    try:
        if isinstance(answer, Exception):
            raise answer
        if isinstance(execution.command, InitiateTransfer):
            answer = brought_on(command=execution.command, outcome=answer, context=execution.context)
        return {**told(outcome=answer, request=request), "replayed": answer.replayed}
    except Exception as error:
        # Of this command alone: whatever it is, the others have answers that must not be lost.
        problem = problem_of(error)
        if problem.code == "internal_error":
            logger.exception("a command of a bulk failed")
        return {**refused(problem=problem, request=request), "replayed": False}
