"""Whether the books are what the log says: the log's own checks, and every read model against the fold."""
