"""The command side of accounts on a real PostgreSQL."""
