"""How far an account was found sound, as columns of a query for accounts."""

from collections.abc import Mapping

from django.db.models import OuterRef, Subquery, Value
from django.db.models.functions import Concat

from accounts.repository import account_stream_id
from projections.models import VerifiedStream

VERIFIED_COLUMNS = ("verified_version", "verified_at")


def verified_columns() -> Mapping[str, Subquery]:
    """Return the version up to which each account was found sound, and when, null if it was not yet."""
    stream = VerifiedStream.objects.filter(stream_id=Concat(Value(account_stream_id("")), OuterRef("account_id")))
    return {
        "verified_version": Subquery(stream.values("version")),
        "verified_at": Subquery(stream.values("verified_at")),
    }
