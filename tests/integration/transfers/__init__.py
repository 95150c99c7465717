"""Transfers on the real database."""
