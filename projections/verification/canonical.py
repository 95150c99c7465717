"""JSON documents as text that is equal for equal documents alone: Python takes 1, 1.0 and true for the same."""

from typing import Any

import orjson


def canonical(document: Any) -> str:
    """Return a document's text: sorted keys, no spaces."""
    return orjson.dumps(document, option=orjson.OPT_SORT_KEYS).decode()


def canonical_text(stored: str) -> str:
    """Return the same of a stored document's text; of one that is nested too deep to be read, its text as it is."""
    try:
        return canonical(orjson.loads(stored))
    except ValueError:
        return stored
