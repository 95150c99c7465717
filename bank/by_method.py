"""Joins the views of one path: commands (POST) and queries (GET) are answered by different apps."""

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from rest_framework.exceptions import MethodNotAllowed

from bank.problems import problem_of, problem_response

View: TypeAlias = Callable[..., HttpResponseBase]


class ByMethod:
    """The view of one path: it passes each method on to that method's own view.

    HEAD goes where GET goes, OPTIONS names what is allowed, and any other method is refused.
    """

    csrf_exempt = True

    def __init__(self, views: Mapping[str, View]) -> None:
        self.views = views
        self._by_name = {**views, "HEAD": views["GET"]} if "GET" in views else views
        self._allowed = ", ".join(sorted({*self._by_name, "OPTIONS"}))

    def __call__(self, request: HttpRequest, **path: Any) -> HttpResponseBase:
        """Answer `request`, naming all methods of the path in `Allow`."""
        method = request.method or ""
        if method in self._by_name:
            response = self._by_name[method](request, **path)
        elif method == "OPTIONS":
            response = HttpResponse(status=204)
            # There is no content that it could be the type of.
            del response.headers["Content-Type"]
        else:
            response = problem_response(problem=problem_of(MethodNotAllowed(method)), request=request)
        # Each view knows of its own methods alone, so what DRF says here is not the whole truth.
        response.headers["Allow"] = self._allowed
        return response


def by_method(**views: View) -> ByMethod:
    """Return the view that joins `views`, each under its method: by_method(GET=…, POST=…)."""
    return ByMethod(views)
