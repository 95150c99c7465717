"""The bank as a WSGI application: what `bank.rsgi` serves, and any server of WSGI can."""

import os

import django
from django.conf import settings

from bank.metrics_files import share_metrics
from bank.request_content import reading_all_content
from bank.web_process import arrange_threads

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "bank.settings")

arrange_threads()
share_metrics(directory=settings.METRICS_DIR)
django.setup(set_prefix=False)
# Imported late: they need the apps that the line above set up.
from bank.api_handler import BankHandler  # noqa: E402

application = reading_all_content(BankHandler())

if settings.IN_MEMORY:
    # Imported late: it needs the apps that the line above set up.
    from bank.in_memory import open_in_this_process

    open_in_this_process()
