"""The WSGI application that a web server loads."""

import os
from collections.abc import Callable, Iterable
from io import BytesIO
from typing import Any, TypeAlias

from django.conf import settings
from django.core.wsgi import get_wsgi_application

from bank.metrics_files import share_metrics

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "bank.settings")

Application: TypeAlias = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


def measuring_chunked_content(application: Application) -> Application:
    """Give chunked content the Content-Length that it lacks, for without one Django takes it for empty.

    No more than one byte over the limit is read: Django refuses the request for that length, as any that announces it.
    """

    def measured(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        if "HTTP_TRANSFER_ENCODING" in environ and environ.get("wsgi.input_terminated"):
            content = environ["wsgi.input"].read(settings.MAX_REQUEST_BYTES + 1)
            environ["wsgi.input"] = BytesIO(content)
            environ["CONTENT_LENGTH"] = str(len(content))
        return application(environ, start_response)

    return measured


share_metrics(directory=settings.METRICS_DIR)
application = measuring_chunked_content(get_wsgi_application())

if settings.IN_MEMORY:
    # Imported late: it needs the apps that the line above set up.
    from bank.in_memory import open_in_this_process

    open_in_this_process()
