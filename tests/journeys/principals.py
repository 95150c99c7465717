"""Those who send requests to a bank that asks for tokens."""

from io import StringIO

from django.core.management import call_command


def issue_token(name: str, *, role: str | None = None) -> str:
    """Return what an operator gets for `name`, made if need be: a client, unless `role` says otherwise."""
    out = StringIO()
    call_command("issue_token", name, role=role, stdout=out)
    [token] = out.getvalue().split()
    return token


def bearer(token: str) -> dict[str, str]:
    """Return the header that carries `token`."""
    return {"Authorization": f"Bearer {token}"}
