"""Whether the bank can serve: asked often, by machines, without a token."""

import django.db
from django.conf import settings
from django.db import connection
from django.http import HttpRequest, HttpResponse, JsonResponse

from bank.problems import problem_of, problem_response


def health(request: HttpRequest) -> HttpResponse:
    """Answer 200 if the database answers, 503 if not: an outage is an answer here, and no error to log."""
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except django.db.Error as error:
        return problem_response(problem=problem_of(error), request=request)
    return JsonResponse({"status": "ok", "store": settings.EVENT_STORE_KIND, "database": "ok"})
