"""Why a rebuild did not come to its end; what was done is kept, and the next one goes on from there."""


class RebuildError(Exception):
    """The base of them."""


class NeedsPostgresql(Exception):
    """An in-memory bank keeps nothing that could be rebuilt."""

    code = "needs_postgresql"


class RebuildUnderWay(RebuildError):
    """Another process rebuilds the projection."""


class RebuildStopped(RebuildError):
    """Somebody asked it to stop."""


class PartProcessDied(RebuildError):
    """A process that filled a part of the shadow could not be started, or was killed; what is done is kept."""


class ShadowOutdated(RebuildError):
    """The live read model was changed by a migration since its shadow was made: this time, nothing is kept."""


class SwapBlocked(RebuildError):
    """The live read model could not be had for the swap."""
