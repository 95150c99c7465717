"""`manage.py retry_transfer ID REASON`: has a stuck transfer resumed again."""

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from eventstore.records import CommandContext
from transfers.domain.commands import RetryTransfer
from transfers.handlers import resume_transfer, retry_transfer
from transfers.management.arguments import identifier, operators_name, reason


class Command(BaseCommand):
    """Records who retries the transfer and why, takes it up at once, and says how it stands then."""

    help = "Have a stuck transfer resumed again, and say how it stands then."

    def add_arguments(self, parser: CommandParser) -> None:
        """Take the transfer's id, and the reason."""
        parser.add_argument("transfer_id", type=identifier)
        parser.add_argument("reason", type=reason, help="kept in the transfer's history")

    def handle(self, *args: Any, transfer_id: str, reason: str, **options: Any) -> None:
        """Retry, and print the state. Raises CommandError if the transfer is not stuck."""
        if settings.IN_MEMORY:
            raise CommandError("retry_transfer needs PostgreSQL: an in-memory bank lives in one process", returncode=2)
        context = CommandContext(metadata={"actor": operators_name()})
        outcome = retry_transfer(command=RetryTransfer(transfer_id=transfer_id, reason=reason), context=context)
        if outcome.refused:
            raise CommandError(f"{transfer_id}: {outcome.result['code']}")
        self.stdout.write(resume_transfer(transfer_id=transfer_id).state.value)
