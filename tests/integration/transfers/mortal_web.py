"""The bank's WSGI application, which a request can have die on the way: it names the boundary in a header."""

from typing import Any

from bank.wsgi import application as bank
from tests.integration.transfers.death import die_at


def application(environ: dict[str, Any], start_response: Any) -> Any:
    """Answer as the bank does, if the process lives to do so."""
    if boundary := environ.get("HTTP_X_DEATH"):
        die_at(boundary)
    return bank(environ, start_response)
