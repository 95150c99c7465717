"""The command side of accounts, without a database."""
