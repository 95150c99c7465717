"""The WSGI application of the reference, for the same web server as the bank's."""

import os

os.environ["DJANGO_SETTINGS_MODULE"] = "benchmarks.reference_settings"

from django.conf import settings
from django.core.wsgi import get_wsgi_application  # reads the setting above

from bank.cpu_affinity import keep_to_one_cpu
from bank.thread_switches import switch_threads_less_often

# As the bank's web processes do.
switch_threads_less_often()
if settings.WEB_CPU_AFFINITY:
    keep_to_one_cpu(directory=settings.CPU_LOCKS_DIR)

application = get_wsgi_application()
