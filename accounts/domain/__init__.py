"""The rules of accounts, in plain Python."""
