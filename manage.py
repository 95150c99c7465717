#!/usr/bin/env python
"""The operators' command line."""

import os
import sys

from django.core.exceptions import ImproperlyConfigured
from django.core.management import execute_from_command_line
from django.db import InterfaceError, OperationalError

from bank.embedded.attachment import EmbeddedServerFailed
from bank.embedded.environment import embedded_servers
from eventstore.exceptions import StoreUnavailable


def main() -> None:
    """Run the command that sys.argv names, with embedded servers if the environment asks for them."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "bank.settings")
    try:
        with embedded_servers(os.environ):
            execute_from_command_line(sys.argv)
    except (ImproperlyConfigured, EmbeddedServerFailed) as error:
        print(f"manage.py: {error}", file=sys.stderr)
        sys.exit(2)
    except (OperationalError, InterfaceError, StoreUnavailable) as error:
        if "--traceback" in sys.argv:
            raise
        # Those of the database come with line breaks.
        print(f"manage.py: the database failed: {' '.join(str(error).split())}", file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
