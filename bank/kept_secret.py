"""Secrets that a bank on one machine makes at its first start and keeps in a file of its own."""

import os
import secrets
from pathlib import Path


def kept_secret(path: Path, *, length_bytes: int = 48) -> str:
    """Return the secret in `path`; the first caller makes it, readable by its owner alone.

    Several processes may start at once: the file is written aside and linked into place, so nobody reads half of it.
    """
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(secrets.token_urlsafe(length_bytes))
        try:
            os.link(draft, path)
        except FileExistsError:
            pass  # another process was first; its secret counts
        finally:
            draft.unlink()
    return path.read_text().strip()
