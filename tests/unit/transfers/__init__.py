"""Transfers without a database."""
