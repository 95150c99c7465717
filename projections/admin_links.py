"""Links from one page of the back office to another."""

from django.conf import settings
from django.urls import reverse
from django.utils.html import format_html
from django.utils.http import urlencode

HAS_EVENT_PAGES = settings.EVENT_STORE_KIND == "postgres"
"""Only a log in the database has pages of its own."""


def events_link(stream_id: str) -> str:
    """Return a link to the events of a stream, its mere id if they have no page."""
    if not HAS_EVENT_PAGES:
        return stream_id
    return link(f"{reverse('admin:eventstore_event_changelist')}?{urlencode({'q': stream_id})}", stream_id)


def link(address: str, text: str) -> str:
    """Return a link."""
    return format_html('<a href="{}">{}</a>', address, text)
