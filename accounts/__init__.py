"""The command side of accounts."""
