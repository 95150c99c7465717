"""Which embedded servers a process needs, read from the environment that it is about to hand to the settings."""

from collections.abc import Iterator, MutableMapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from environ import Env

from bank.embedded.attachment import Attachment
from bank.embedded.child_process import PROJECT_DIR

DATABASE_VARIABLES = (
    "DATABASE_URL",
    "POSTGRES_HOST",
    "POSTGRES_PORT",
    "POSTGRES_USER",
    "POSTGRES_PASSWORD",
    "POSTGRES_DB",
)
"""Any of them means a real database; what is left out has its default."""

attachments: list[Attachment] = []
"""The embedded servers that this process uses at the moment."""


@contextmanager
def embedded_servers(environment: MutableMapping[str, str], *, throw_away: bool = False) -> Iterator[None]:
    """Put the addresses of embedded servers into `environment` while the block runs, as far as it asks for them.

    With BANK_EMBEDDED the database and the broker are embedded, each unless it has an address already. The in-memory
    bank needs neither, but a directory for the time being. Raises EmbeddedServerFailed.
    """
    with ExitStack() as stack:
        if environment.get("EVENT_STORE_KIND") == "in-memory":
            if not environment.get("BANK_IN_MEMORY_DIR"):
                environment["BANK_IN_MEMORY_DIR"] = stack.enter_context(TemporaryDirectory(prefix="bank-"))
        elif environment.get("BANK_EMBEDDED", "").lower() in Env.BOOLEAN_TRUE_STRINGS:
            var_dir = Path(environment.get("BANK_VAR_DIR") or PROJECT_DIR / "var")
            if not any(environment.get(name) for name in DATABASE_VARIABLES):
                environment["DATABASE_URL"] = _attach(stack, "postgres", var_dir, throw_away)
            if not environment.get("REDIS_URL"):
                environment["REDIS_URL"] = _attach(stack, "valkey", var_dir, throw_away)
        yield


def _attach(stack: ExitStack, kind: str, var_dir: Path, throw_away: bool) -> str:
    attachment = Attachment(kind=kind, directory=var_dir / kind, throw_away=throw_away)
    attachments.append(attachment)
    stack.callback(attachments.remove, attachment)
    stack.callback(attachment.detach)
    return attachment.url
