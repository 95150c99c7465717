"""Settings of the reference that HTTP rows are compared with: the bank's own, with no middleware and one view."""

from bank.settings import *  # noqa: F403
from bank.settings import CPU_LOCKS_DIR, env

MIDDLEWARE: list[str] = []
# CPUs of its own, as if the bank's web processes were not there.
CPU_LOCKS_DIR = CPU_LOCKS_DIR / env.str("REFERENCE_CPUS", default="reference")
ROOT_URLCONF = "benchmarks.reference_view"

# `single` gives every request an append of its own.
REFERENCE_APPENDS = env.str("REFERENCE_APPENDS", default="shared")
