"""What the verdict on a command is told as, inside another document: the answer that it would get alone."""

from typing import Any

from django.http import HttpRequest

from accounts.views import accepted_content
from bank.problems import PROBLEM_TYPES, Problem, problem_document, problem_of
from eventstore.exceptions import CommandRefused
from eventstore.records import Outcome
from transfers.views import transfer_content, transfer_status


def told(*, outcome: Outcome, request: HttpRequest) -> dict[str, Any]:
    """Return the verdict as `{status, httpStatus, result}`, or `{status, httpStatus, problem}` if it is a refusal."""
    if outcome.refused:
        return refused(problem=problem_of(CommandRefused(outcome=outcome)), request=request)
    http_status = transfer_status(outcome=outcome) if "transferId" in outcome.result else 201
    return {"status": "accepted", "httpStatus": http_status, "result": content_of(outcome=outcome)}


def refused(*, problem: Problem, request: HttpRequest) -> dict[str, Any]:
    """Return `problem` as `{status, httpStatus, problem}`."""
    document = problem_document(problem=problem, request=request)
    return {"status": "refused", "httpStatus": PROBLEM_TYPES[problem.code].status, "problem": document}


def content_of(*, outcome: Outcome) -> dict[str, Any]:
    """Return what the answer to accepted commands says: on an account, a transfer, or an atomic bulk of both.

    Of a bulk whose commands are each by themselves it is how many there are: each has a verdict of its own.
    """
    result = outcome.result
    if "results" in result:
        return {"atomic": True, "results": bulk_results(outcome=outcome)}
    if "commands" in result:
        return {"atomic": False, "commands": result["commands"]}
    return transfer_content(outcome=outcome) if "transferId" in result else accepted_content(outcome=outcome)


def bulk_results(*, outcome: Outcome) -> list[dict[str, Any]]:
    """Return what is told of each command of an atomic bulk that was accepted. All are at the position of the last."""
    parts = [content_of(outcome=outcome._replace(result=result)) for result in outcome.result["results"]]
    return [
        {"index": index, "status": "accepted", "httpStatus": 201, "result": content}
        for index, content in enumerate(parts)
    ]
