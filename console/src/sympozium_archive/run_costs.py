"""Costs of runs, in billionths of a US dollar. A cost is written once, before the run's content is: later prices do not change it."""

from collections.abc import Collection
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Decimal

from sqlalchemy import bindparam, select, update

from sympozium_archive.column_types import MAX_COST
from sympozium_archive.database import Database
from sympozium_archive.tables import CONTENT_UNREAD, runs

_PER_DOLLAR = 10**9


@dataclass(frozen=True)
class Cost:
    """Cost of one run."""

    uid: str
    nano_dollars: int
    model: str
    """Model by whose price it was calculated, as the price list has it."""


def nano_dollars(dollars: Decimal) -> int:
    """Return an amount in billionths of a US dollar, at most what the table holds."""
    return min(int((dollars * _PER_DOLLAR).to_integral_value(ROUND_HALF_EVEN)), MAX_COST)


def dollars_text(nano: int) -> str:
    """Return an amount as a decimal number of US dollars, without trailing zeros."""
    text = f"{Decimal(nano) / _PER_DOLLAR:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


class RunCosts:
    """Writer of costs."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def fix(self, costs: Collection[Cost]) -> list[Cost]:
        """Store the costs of runs whose content was not read yet and that have none; return those that were stored.

        Raises DatabaseUnavailable.
        """
        if not costs:
            return []
        by_uid = {cost.uid: cost for cost in costs}
        unread = select(runs.c.uid).where(
            runs.c.uid.in_(sorted(by_uid)), runs.c.content_state == CONTENT_UNREAD, runs.c.cost.is_(None)
        )
        statement = (
            update(runs)
            .where(runs.c.uid == bindparam("cost_uid"))
            .values(cost=bindparam("nano", type_=runs.c.cost.type))
        )
        async with self._database.writing() as connection:
            fixed = [by_uid[uid] for uid in sorted((await connection.execute(unread.with_for_update())).scalars())]
            if fixed:
                values = [{"cost_uid": cost.uid, "nano": cost.nano_dollars} for cost in fixed]
                await connection.execute(statement, values)
        return fixed
