"""The Celery application: beat is the heartbeat, workers do what it asks for."""

import logging.config
import os
from typing import Any

from celery import Celery
from celery.signals import celeryd_after_setup, setup_logging, worker_init
from django.conf import settings

from bank.metrics_files import share_metrics
from bank.niceness import step_back
from projections.garbage import spare_the_program

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "bank.settings")

share_metrics(directory=settings.METRICS_DIR)
app = Celery("bank")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()


@setup_logging.connect
def log_as_the_bank_does(**_: Any) -> None:
    """Keep Celery from bringing handlers and formats of its own."""
    logging.config.dictConfig(settings.LOGGING)


@worker_init.connect
def spare_what_is_loaded(**_: Any) -> None:
    """Keep the worker's collections of garbage short."""
    spare_the_program()


@celeryd_after_setup.connect
def step_back_for_jobs(*, instance: Any, **_: Any) -> None:
    """Let a worker that does jobs alone come after the projections: what it does is seldom waited for."""
    if set(instance.app.amqp.queues.consume_from) == {"jobs"}:
        step_back(niceness=settings.JOBS_NICENESS)
