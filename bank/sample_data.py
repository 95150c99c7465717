"""The sample bank of the demo: a few owners, their accounts and half a year of money, through the real handlers."""

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, TypeAlias

from accounts.domain.commands import AccountCommand, CreateAccount, DepositMoney, FreezeAccount, WithdrawMoney
from accounts.handlers import create_account, deposit_money, freeze_account, withdraw_money
from eventstore.records import CommandContext, CommandKey, Outcome
from eventstore.store import event_store
from transfers.domain.commands import InitiateTransfer
from transfers.handlers import initiate_transfer

SCOPE = "sample-data"
"""The reserved scope of the command keys that make seeding happen once, also if it was interrupted."""

DAYS = 180
# Minor units that buy about what one US dollar buys, so that one price list does for all: cents, yen, fils.
UNITS_PER_DOLLAR = {"USD": 100, "JPY": 150, "KWD": 307}

Command: TypeAlias = AccountCommand | InitiateTransfer
HANDLERS: dict[type[Command], Callable[..., Outcome]] = {
    CreateAccount: create_account,
    DepositMoney: deposit_money,
    WithdrawMoney: withdraw_money,
    FreezeAccount: freeze_account,
    InitiateTransfer: initiate_transfer,
}
Movement: TypeAlias = type[DepositMoney] | type[WithdrawMoney]


@dataclass(frozen=True, slots=True)
class Habit:
    """A movement that comes back: what it says, the first day, the days in between, the least and most in dollars."""

    movement: Movement
    description: str
    first_day: int
    every_days: int
    dollars: tuple[int, int]


@dataclass(frozen=True, slots=True)
class SampleAccount:
    """An account and how it is used; it opens on day 0 and may be frozen on a later one."""

    account_id: str
    owner_id: str
    currency: str
    habits: Sequence[Habit]
    frozen_on_day: int = DAYS


@dataclass(frozen=True, slots=True)
class SampleTransfer:
    """Money that goes from one account to another, once or again and again: days and dollars as of a Habit."""

    source_account_id: str
    destination_account_id: str
    description: str
    first_day: int
    every_days: int
    dollars: tuple[int, int]


@dataclass(frozen=True, slots=True)
class Step:
    """A command, the moment of the sample's half year that it belongs to, and its key."""

    after: timedelta
    key: str
    command: Command


HOUSEHOLD = (
    Habit(DepositMoney, "Opening deposit", 0, DAYS, (1500, 2500)),
    Habit(DepositMoney, "Salary", 3, 30, (3000, 3800)),
    Habit(WithdrawMoney, "Rent", 5, 30, (1100, 1300)),
    Habit(WithdrawMoney, "Card payment: groceries", 2, 12, (40, 140)),
    Habit(WithdrawMoney, "Card payment: restaurant", 8, 22, (20, 90)),
    Habit(WithdrawMoney, "Electricity and water", 15, 30, (80, 160)),
)
SAVINGS = (
    Habit(DepositMoney, "Opening deposit", 0, DAYS, (200, 400)),
    Habit(DepositMoney, "Interest", 89, 90, (5, 15)),
)
SHOP = (
    Habit(DepositMoney, "Opening deposit", 0, DAYS, (8000, 12000)),
    Habit(DepositMoney, "Card takings", 4, 12, (1500, 2600)),
    Habit(WithdrawMoney, "Supplier invoice", 10, 18, (600, 1400)),
    Habit(WithdrawMoney, "Wages", 28, 30, (1200, 1500)),
)
ACCOUNTS = (
    SampleAccount("amina-current", "amina-bello", "USD", HOUSEHOLD),
    SampleAccount("amina-savings", "amina-bello", "USD", SAVINGS),
    SampleAccount("jonas-current", "jonas-weber", "USD", HOUSEHOLD),
    SampleAccount("jonas-shop", "jonas-weber", "USD", SHOP),
    SampleAccount("rosa-current", "rosa-jimenez", "USD", HOUSEHOLD, frozen_on_day=160),
    SampleAccount("keiko-current", "keiko-tanaka", "JPY", HOUSEHOLD),
    SampleAccount("keiko-savings", "keiko-tanaka", "JPY", SAVINGS),
    SampleAccount("hiroshi-current", "hiroshi-sato", "JPY", HOUSEHOLD),
    SampleAccount("hiroshi-shop", "hiroshi-sato", "JPY", SHOP),
    SampleAccount("noura-current", "noura-al-sabah", "KWD", HOUSEHOLD),
    SampleAccount("noura-savings", "noura-al-sabah", "KWD", SAVINGS),
    SampleAccount("noura-shop", "noura-al-sabah", "KWD", SHOP),
)
CURRENCIES = {account.account_id: account.currency for account in ACCOUNTS}
# The last two are refused: one by a frozen account, and one for want of funds.
TRANSFERS = (
    SampleTransfer("amina-current", "amina-savings", "Standing order: savings", 6, 30, (200, 400)),
    SampleTransfer("amina-current", "jonas-shop", "Order from the shop", 20, 45, (60, 180)),
    SampleTransfer("jonas-shop", "jonas-current", "Drawings", 29, 30, (900, 1100)),
    SampleTransfer("jonas-current", "rosa-current", "Half of a dinner", 37, 60, (20, 45)),
    SampleTransfer("keiko-current", "keiko-savings", "Standing order: savings", 6, 30, (200, 400)),
    SampleTransfer("keiko-current", "hiroshi-shop", "Order from the shop", 33, 50, (40, 120)),
    SampleTransfer("hiroshi-shop", "hiroshi-current", "Drawings", 29, 30, (900, 1100)),
    SampleTransfer("noura-current", "noura-savings", "Standing order: savings", 6, 30, (200, 400)),
    SampleTransfer("noura-shop", "noura-current", "Drawings", 29, 30, (700, 900)),
    SampleTransfer("jonas-current", "rosa-current", "Concert tickets", 165, DAYS, (50, 70)),
    SampleTransfer("amina-savings", "amina-current", "Down payment: car", 172, DAYS, (9_000, 9_500)),
)


def seed_sample_data() -> None:
    """Make the sample bank's half year, which ends now, unless it was made before."""
    steps = sorted(_steps(), key=lambda step: step.after)
    if event_store().load([], command_key=CommandKey(SCOPE, steps[-1].key)).command:
        return
    opened_at = datetime.now(UTC) - timedelta(days=DAYS)
    for step in steps:
        key = CommandKey(SCOPE, step.key)
        context = CommandContext(
            key=key, fingerprint=SCOPE, metadata={"actor": SCOPE}, occurred_at=opened_at + step.after
        )
        HANDLERS[type(step.command)](command=step.command, context=context)


def _steps() -> Iterator[Step]:
    for account in ACCOUNTS:
        # Seeded by the account: the same bank every time, and changing one account leaves the others alone.
        yield from _steps_of(account, _dice(account.account_id))
    for sample in TRANSFERS:
        dice = _dice(f"{sample.source_account_id}:{sample.destination_account_id}:{sample.description}")
        for day in range(sample.first_day, DAYS, sample.every_days):
            yield _transfer(sample, day, dice)


def _dice(seed: str) -> random.Random:
    return random.Random(seed)  # noqa: S311 - prices, not secrets


def _steps_of(account: SampleAccount, dice: random.Random) -> Iterator[Step]:
    opening: dict[str, Any] = {"owner_id": account.owner_id, "currency": account.currency}
    yield Step(
        timedelta(hours=8), f"{account.account_id}:open", CreateAccount(account_id=account.account_id, **opening)
    )
    for habit in account.habits:
        for day in range(habit.first_day, min(DAYS, account.frozen_on_day), habit.every_days):
            yield _movement(account, habit, day, dice)
    if account.frozen_on_day < DAYS:
        command = FreezeAccount(account_id=account.account_id, reason="compliance review")
        yield Step(timedelta(days=account.frozen_on_day), f"{account.account_id}:freeze", command)


def _movement(account: SampleAccount, habit: Habit, day: int, dice: random.Random) -> Step:
    reference = f"{account.account_id}:{_slug(habit.description)}:{day}"
    command = habit.movement(
        account_id=account.account_id,
        amount=_amount(habit.dollars, account.currency, dice),
        currency=account.currency,
        transaction_id=reference,
        description=habit.description,
    )
    return Step(_time_of(day, dice), reference, command)


def _transfer(sample: SampleTransfer, day: int, dice: random.Random) -> Step:
    reference = f"{sample.source_account_id}:{_slug(sample.description)}:{day}"
    currency = CURRENCIES[sample.source_account_id]
    command = InitiateTransfer(
        transfer_id=reference,
        source_account_id=sample.source_account_id,
        destination_account_id=sample.destination_account_id,
        amount=_amount(sample.dollars, currency, dice),
        currency=currency,
        description=sample.description,
    )
    return Step(_time_of(day, dice), reference, command)


def _slug(description: str) -> str:
    return description.lower().replace(" ", "-")


def _amount(dollars: tuple[int, int], currency: str, dice: random.Random) -> int:
    least, most = (number * UNITS_PER_DOLLAR[currency] for number in dollars)
    return dice.randint(least, most)


def _time_of(day: int, dice: random.Random) -> timedelta:
    """Return a moment in the bank's opening hours, after the accounts were opened on the first day."""
    return timedelta(days=day, hours=9, minutes=dice.randrange(8 * 60))
