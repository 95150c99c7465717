"""Files that logs travel in, as tests write, read and forge them."""

from collections.abc import Iterable
from io import StringIO
from pathlib import Path
from typing import Any

import orjson
from django.core.management import call_command

from eventstore.archive.lines import sealed_line


def export(path: Path, *, after: int = 0) -> bytes:
    """Export the bank at hand to `path`, and return what is in it."""
    call_command("export_events", str(path), after=after)
    return path.read_bytes()


def import_file(path: Path) -> str:
    """Import a file, and return what the command says."""
    said = StringIO()
    call_command("import_events", str(path), stdout=said)
    return said.getvalue()


def import_lines(directory: Path, lines: Iterable[bytes]) -> str:
    """Import `lines`, and return what the command says."""
    path = directory / "lines.jsonl"
    path.write_bytes(b"".join(lines))
    return import_file(path)


def documents(exported: bytes) -> list[dict[str, Any]]:
    """Return what each line says."""
    return [orjson.loads(line) for line in exported.splitlines()]


def forged(written: Iterable[dict[str, Any]]) -> list[bytes]:
    """Return documents as lines whose seals fit, whatever they say."""
    header, *rest = written
    lines, seal = [orjson.dumps(header) + b"\n"], b""
    for document in rest:
        line, seal = sealed_line({k: v for k, v in document.items() if k != "seal"}, previous_seal=seal)
        lines.append(line)
    return lines
