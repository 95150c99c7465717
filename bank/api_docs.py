"""What the API says of itself: its OpenAPI schema, and Swagger UI to read it and try it with."""

from functools import cache

import orjson
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from drf_spectacular.settings import spectacular_settings

SCHEMA_MEDIA_TYPE = "application/vnd.oai.openapi+json"


def schema(request: HttpRequest) -> HttpResponse:
    """Answer with the OpenAPI schema."""
    return HttpResponse(_schema_document(), content_type=SCHEMA_MEDIA_TYPE)


def page(request: HttpRequest) -> HttpResponse:
    """Answer with Swagger UI; all of it comes from the bank, and none of it is inline: a strict CSP lets it pass."""
    return render(request, "bank/api_docs.html")


@cache
def _schema_document() -> bytes:
    """Return the schema as JSON; made once, for it takes a while and anybody may ask."""
    generator = spectacular_settings.DEFAULT_GENERATOR_CLASS()
    return orjson.dumps(generator.get_schema(public=True))
