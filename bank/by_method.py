"""Joins the views of one path: commands (POST) and queries (GET) are answered by different apps."""

from collections.abc import Callable
from typing import Any, TypeAlias

from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.views.decorators.csrf import csrf_exempt
from rest_framework.exceptions import MethodNotAllowed

from bank.problems import problem_of, problem_response

View: TypeAlias = Callable[..., HttpResponseBase]


def by_method(**views: View) -> View:
    """Return the view that passes each method on to its own: by_method(GET=…, POST=…).

    HEAD goes where GET goes, OPTIONS names what is allowed, and any other method is refused.
    """
    if "GET" in views:
        views["HEAD"] = views["GET"]
    allowed = ", ".join(sorted({*views, "OPTIONS"}))

    @csrf_exempt
    def view(request: HttpRequest, **path: Any) -> HttpResponseBase:
        method = request.method or ""
        if method in views:
            response = views[method](request, **path)
        elif method == "OPTIONS":
            response = HttpResponse(status=204)
        else:
            response = problem_response(problem=problem_of(MethodNotAllowed(method)), request=request)
        # Each view knows of its own methods alone, so what DRF says here is not the whole truth.
        response.headers["Allow"] = allowed
        return response

    return view
