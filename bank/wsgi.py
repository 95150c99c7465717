"""The WSGI application that a web server loads."""

import os

from django.conf import settings
from django.core.wsgi import get_wsgi_application

from bank.metrics_files import share_metrics
from bank.request_content import reading_all_content

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "bank.settings")

share_metrics(directory=settings.METRICS_DIR)
application = reading_all_content(get_wsgi_application())

if settings.IN_MEMORY:
    # Imported late: it needs the apps that the line above set up.
    from bank.in_memory import open_in_this_process

    open_in_this_process()
