"""The query side: read models and what keeps them up to date."""
