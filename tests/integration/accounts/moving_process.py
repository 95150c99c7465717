"""A process of its own that moves money as it reads, one JSON object a line, and tells what came of it."""

import json
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import uuid4

import django

django.setup()

from django.db import connection  # noqa: E402

from accounts.domain.commands import DepositMoney, WithdrawMoney  # noqa: E402
from accounts.handlers import deposit_money, withdraw_money  # noqa: E402
from eventstore.records import CommandContext, CommandKey  # noqa: E402


def move(account_id: str, amount: int) -> dict[str, Any]:
    """Deposit `amount`, or withdraw it below 0; return the verdict, or the name of the error."""
    context = CommandContext(key=CommandKey("moving-process", str(uuid4())))
    try:
        if amount > 0:
            deposit = DepositMoney(account_id=account_id, amount=amount, currency="USD")
            outcome = deposit_money(command=deposit, context=context)
        else:
            withdrawal = WithdrawMoney(account_id=account_id, amount=-amount, currency="USD")
            outcome = withdraw_money(command=withdrawal, context=context)
    except Exception as error:
        return {"error": repr(error)}
    return {"refused": outcome.refused, "position": outcome.last_position, **outcome.result}


def move_often(job: dict[str, Any]) -> list[dict[str, Any]]:
    try:
        return [move(job["account_id"], job["amount"]) for _ in range(job["times"])]
    finally:
        connection.close()


def main() -> None:
    """Do each job in as many threads as it says, all of them at once."""
    print("ready", flush=True)
    for line in sys.stdin:
        job = json.loads(line)
        with ThreadPoolExecutor(job["threads"]) as threads:
            verdicts = [verdict for some in threads.map(move_often, [job] * job["threads"]) for verdict in some]
        print(json.dumps(verdicts), flush=True)


if __name__ == "__main__":
    main()
