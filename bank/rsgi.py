"""The RSGI application that a web server loads: the bank's WSGI application, without a thread for each who waits."""

from bank.rsgi_server import RsgiApplication
from bank.wsgi import application as wsgi

application = RsgiApplication(wsgi)
