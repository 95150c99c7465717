"""Tests of the composition root that need no database."""
