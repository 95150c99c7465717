"""From a POST to the context of its command: key, fingerprint, expected version, and the metadata of its events."""

import hashlib
import re
from collections.abc import Mapping
from typing import Any

import orjson
from django.conf import settings
from django.http import HttpRequest
from rest_framework.exceptions import ErrorDetail
from structlog.contextvars import bind_contextvars

from accounts.permissions import principal_in
from accounts.serializers import InvalidHeaders
from eventstore.chain import MAX_WHOLE_NUMBER
from eventstore.records import CommandContext, CommandKey

_PLAIN_KEY = re.compile(r"[!#-+\--:<-\[\]-~]{1,255}")
_QUOTED_KEY = re.compile(r'"((?:[ !#-\[\]-~]|\\["\\]){1,510})"')
_VERSION_TAG = re.compile(r'"(0|[1-9][0-9]{0,15})"|(0|[1-9][0-9]{0,15})')


class IdempotencyKeyRequired(Exception):
    """A command came without a key, where none may."""

    code = "idempotency_key_required"


def command_context(*, request: HttpRequest, fields: Mapping[str, Any], stream_id: str) -> CommandContext:
    """Return what surrounds the command in `request`, whose validated fields (by Python names) are `fields`.

    An expected version, from the content or from If-Match, is that of the stream `stream_id`. Raises InvalidHeaders
    for a header that cannot be read, or that contradicts the content, and IdempotencyKeyRequired.
    """
    bind_contextvars(streamId=stream_id)
    key = command_key(request=request, fields=fields)
    expected_version = _agreed(fields.get("expected_version"), _if_match(request), "If-Match")
    if key is None and settings.REQUIRE_IDEMPOTENCY_KEY:
        raise IdempotencyKeyRequired
    is_keyed = key is not None
    return CommandContext(
        key=None if key is None else client_key(request=request, key=key),
        fingerprint=fingerprint(request=request, fields=fields, expected_version=expected_version) if is_keyed else "",
        expected_versions={} if expected_version is None else {stream_id: expected_version},
        metadata=event_metadata(request=request, key=key, on_behalf_of=fields.get("actor")),
    )


def command_key(*, request: HttpRequest, fields: Mapping[str, Any]) -> str | None:
    """Return the key that content and header of `request` agree on, if there is one. Raises InvalidHeaders."""
    key: str | None = _agreed(fields.get("command_id"), _idempotency_key(request), "Idempotency-Key")
    return key


def event_metadata(*, request: HttpRequest, key: str | None, on_behalf_of: str | None) -> dict[str, str]:
    """Return what is kept with each event that comes of `request`: who sent it, for whom, and what it belongs to."""
    principal = principal_in(request)
    about = {
        "correlationId": request.META.get("HTTP_X_CORRELATION_ID"),
        "commandId": key,
        "actor": principal.get_username() if principal else None,
        "onBehalfOf": on_behalf_of,
    }
    return {name: value for name, value in about.items() if value is not None}


def authenticated_client(*, request: HttpRequest) -> str | None:
    """Return the id of the client that authenticated itself, which outlives its tokens; None in open mode."""
    principal = principal_in(request)
    return str(principal.pk) if principal else None


def client_key(*, request: HttpRequest, key: str) -> CommandKey:
    """Return `key` as the key of the client that sent `request`: clients never meet each other's commands."""
    client = authenticated_client(request=request)
    return CommandKey(scope="open" if client is None else f"client:{client}", key=key)


def fingerprint(*, request: HttpRequest, fields: Mapping[str, Any], expected_version: int | None) -> str:
    """Return what tells one command from another under the same key: sha256 over all that decides what it does."""
    return fingerprint_at(path=request.path, fields=fields, expected_version=expected_version)


def fingerprint_at(*, path: str, fields: Mapping[str, Any], expected_version: int | None) -> str:
    """Return the fingerprint of a command that is sent by POST to `path`."""
    asked = {**fields, "command_id": None, "expected_version": expected_version}
    canonical = orjson.dumps(["POST", path, asked], option=orjson.OPT_SORT_KEYS)
    return hashlib.sha256(canonical).hexdigest()


def _agreed(in_content: Any, in_header: Any, header: str) -> Any:
    """Return the one value that content and header give; a request that says two things is refused."""
    if in_content is not None and in_header is not None and in_content != in_header:
        raise _invalid(header, "contradiction", "Says something else than the content of the request.")
    return in_header if in_content is None else in_content


def _idempotency_key(request: HttpRequest) -> str | None:
    """Return the key in the Idempotency-Key header: a quoted string (IETF draft, RFC 8941), or the bare key."""
    text: str | None = request.META.get("HTTP_IDEMPOTENCY_KEY")
    if text is None:
        return None
    if _PLAIN_KEY.fullmatch(text):
        return text
    quoted = _QUOTED_KEY.fullmatch(text)
    key = re.sub(r"\\(.)", r"\1", quoted[1]) if quoted else ""
    if not key.strip() or len(key) > 255:
        raise _invalid("Idempotency-Key", "bad_key", 'Must be "a key" of 1 to 255 visible ASCII characters.')
    return key


def _if_match(request: HttpRequest) -> int | None:
    """Return the version in the If-Match header: "7", or bare 7. Weak tags, lists and * name no one version."""
    text = request.META.get("HTTP_IF_MATCH")
    if text is None:
        return None
    tag = _VERSION_TAG.fullmatch(text.strip())
    version = int(tag[1] or tag[2]) if tag else MAX_WHOLE_NUMBER + 1
    if version > MAX_WHOLE_NUMBER:
        raise _invalid("If-Match", "bad_version", 'Must be one version, as the ETag of an answer gives it: "7".')
    return version


def _invalid(header: str, code: str, detail: str) -> InvalidHeaders:
    return InvalidHeaders({header: [ErrorDetail(detail, code=code)]})
