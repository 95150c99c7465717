"""The back office on a real PostgreSQL."""
