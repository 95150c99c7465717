"""The bank's RSGI application, which a request can have die on the way: it names the boundary in a header."""

from typing import Any

from bank.rsgi_server import RsgiApplication
from bank.wsgi import application as bank
from tests.integration.transfers.death import die_at


def mortal(environ: dict[str, Any], start_response: Any) -> Any:
    """Answer as the bank does, if the process lives to do so."""
    if boundary := environ.get("HTTP_X_DEATH"):
        die_at(boundary)
    return bank(environ, start_response)


application = RsgiApplication(mortal)
