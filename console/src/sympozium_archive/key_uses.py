"""Last uses of API keys: one row per key, written at most once a minute."""

from collections.abc import Mapping, Sequence

from sqlalchemy import select

from sympozium_archive import dialects
from sympozium_archive.database import Database
from sympozium_archive.tables import key_uses

LEAST_SECONDS = 60
"""Seconds between two writes of a key's row, over all replicas."""
_MICRO = 1_000_000
_BATCH = 500


class KeyUses:
    """The table of last uses. Times are microseconds since 1970 UTC. Every method may raise DatabaseUnavailable."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def record(self, uses: Mapping[str, int]) -> None:
        """Store when keys, by their UIDs, were used, unless a use of the minute before is stored."""
        statement = dialects.upsert(
            key_uses,
            self._database.dialect,
            "uid",
            lambda new: {"used_at": new.used_at},
            only_if=lambda new: key_uses.c.used_at <= new.used_at - LEAST_SECONDS * _MICRO,
        )
        rows = [
            {"uid": uid, "used_at": at} for uid, at in sorted(uses.items())
        ]  # in one order: replicas never deadlock
        for begin in range(0, len(rows), _BATCH):  # the audit waits for no transaction of thousands of rows
            async with self._database.writing() as connection:
                await connection.execute(statement, rows[begin : begin + _BATCH])

    async def last(self, uids: Sequence[str]) -> dict[str, int]:
        """Return the last uses that are known, by UID."""
        found = dict[str, int]()
        async with self._database.reading() as connection:
            for begin in range(0, len(uids), _BATCH):
                wanted = key_uses.c.uid.in_(uids[begin : begin + _BATCH])
                rows = await connection.execute(select(key_uses.c.uid, key_uses.c.used_at).where(wanted))
                found.update((uid, at) for uid, at in rows)
        return found
