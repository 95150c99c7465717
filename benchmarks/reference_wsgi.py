"""The WSGI application of the reference, for the same web server as the bank's."""

import os

os.environ["DJANGO_SETTINGS_MODULE"] = "benchmarks.reference_settings"

from django.core.wsgi import get_wsgi_application  # reads the setting above

from bank.web_process import arrange_threads

arrange_threads()
application = get_wsgi_application()
