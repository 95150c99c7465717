"""Unit tests of the read side."""
