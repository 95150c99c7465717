"""How the books were found: the differences that stand, and since when every stream has been looked at."""

from dataclasses import dataclass

from django.utils import timezone

from projections.models import VerificationCycle, VerificationDifference


@dataclass(frozen=True, slots=True, kw_only=True)
class VerificationMeasures:
    """How many differences stand, and how long ago the last cycle that came to its end began, None if none did.

    No stream that was there then has been unlooked at for longer.
    """

    differences: int
    age_seconds: float | None


def measure_verification() -> VerificationMeasures:
    """Return what verifications have left. Raises the database's errors."""
    cycle = VerificationCycle.objects.first()
    began_at = cycle.last_began_at if cycle else None
    return VerificationMeasures(
        differences=VerificationDifference.objects.count(),
        age_seconds=max((timezone.now() - began_at).total_seconds(), 0.0) if began_at else None,
    )
