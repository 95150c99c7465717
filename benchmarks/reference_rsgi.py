"""The RSGI application of the reference, for who wants to see it served as the bank is: each request a fiber."""

import os

# CPUs of its own, as if the same view's web processes by WSGI were not there.
os.environ["REFERENCE_CPUS"] = "reference-by-rsgi"
os.environ["DJANGO_SETTINGS_MODULE"] = "benchmarks.reference_settings"

from bank.rsgi_server import RsgiApplication
from benchmarks.reference_wsgi import application as wsgi  # reads the variables above

application = RsgiApplication(wsgi, is_fiber=lambda method, path: method == "POST")
