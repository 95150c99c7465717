"""What every event store must do: one suite of tests, run on each implementation."""

from tests.eventstore_contract.appending import Appending
from tests.eventstore_contract.commands import Commands
from tests.eventstore_contract.concurrency import Concurrency
from tests.eventstore_contract.conflicts import Conflicts
from tests.eventstore_contract.documents import Documents
from tests.eventstore_contract.hashes import Hashes
from tests.eventstore_contract.snapshots import Snapshots
from tests.eventstore_contract.violations import Violations


class EventStoreContract(Appending, Conflicts, Hashes, Commands, Snapshots, Documents, Violations, Concurrency):
    """The whole contract. A subclass gives the fixture `store`; the log behind it may be shared with other tests."""
