"""The composition root: settings, URLs, error table, workers; no other app imports it."""
