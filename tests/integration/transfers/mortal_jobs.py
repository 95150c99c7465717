"""The bank's Celery application, whose worker dies at the boundary that DEATH names in its environment."""

import os

from bank.celery import app
from tests.integration.transfers.death import die_at

__all__ = ["app"]

if boundary := os.environ.get("DEATH"):
    die_at(boundary)
