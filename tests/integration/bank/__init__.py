"""Tests of the composition root on a real PostgreSQL."""
