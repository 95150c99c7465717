"""Settings of the reference that HTTP rows are compared with: the bank's own, with no middleware and one view."""

from bank.settings import *  # noqa: F403
from bank.settings import env

MIDDLEWARE: list[str] = []
ROOT_URLCONF = "benchmarks.reference_view"

# `single` gives every request an append of its own.
REFERENCE_APPENDS = env.str("REFERENCE_APPENDS", default="shared")
