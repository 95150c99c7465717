"""The HTTP edge, without a database and without a server."""
