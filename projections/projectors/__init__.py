"""The projectors of the bank."""

from typing import Any

from projections.projector import Projector
from projections.projectors.account_statement import AccountStatementProjector
from projections.projectors.account_summary import AccountSummaryProjector
from projections.projectors.transfer_status import TransferStatusProjector

PROJECTORS: tuple[Projector[Any], ...] = (
    AccountSummaryProjector(),
    AccountStatementProjector(),
    TransferStatusProjector(),
)
"""In the order in which each round advances them."""
