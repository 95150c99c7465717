"""Integration tests share one committed database."""

from tests.committed_database import committed_database as committed_database
