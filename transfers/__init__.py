"""The command side of transfers between accounts."""
