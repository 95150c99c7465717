"""Where errors become answers: DRF's exception handler, and Django's error views for what never reached DRF."""

import sys
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.views import defaults
from rest_framework.exceptions import AuthenticationFailed, NotAuthenticated, PermissionDenied

from bank.problems import PROBLEM_TYPES, problem_of, problem_response
from bank.throttling import turned_away_too_often


def answer_drf_exception(exception: Exception, context: dict[str, Any]) -> HttpResponse | None:
    """Return the problem that `exception` is; None leaves a fault of the bank to Django, which logs it as one.

    Whoever was turned away too often is told no more than when to come back.
    """
    if isinstance(exception, AuthenticationFailed | NotAuthenticated | PermissionDenied):
        exception = turned_away_too_often(request=context["request"]) or exception
    problem = problem_of(exception)
    if problem.code == "internal_error":
        return None
    return problem_response(problem=problem, request=context["request"])


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Answer what Django found suspicious: a bad Host, a body over the limit, too many parameters."""
    if _is_for_people(request):
        return defaults.bad_request(request, exception)
    return problem_response(problem=problem_of(exception), request=request)


def permission_denied(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Answer a PermissionDenied raised outside DRF."""
    if _is_for_people(request):
        return defaults.permission_denied(request, exception)
    return problem_response(problem=problem_of(exception), request=request)


def page_not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Answer a URL that leads nowhere."""
    if _is_for_people(request):
        return defaults.page_not_found(request, exception)
    return problem_response(problem=problem_of(exception), request=request)


def server_error(request: HttpRequest) -> HttpResponse:
    """Answer an exception that nobody handled: Django calls this while handling it, and logs it afterwards."""
    problem = problem_of(sys.exception())
    if not _is_for_people(request):
        return problem_response(problem=problem, request=request)
    if problem.code != "store_unavailable":
        return defaults.server_error(request)
    kind = PROBLEM_TYPES[problem.code]
    return HttpResponse(
        kind.detail,
        status=kind.status,
        content_type="text/plain",
        headers={"Retry-After": str(kind.retry_after_seconds)},
    )


def _is_for_people(request: HttpRequest) -> bool:
    return request.path_info.startswith(("/admin", "/static"))
