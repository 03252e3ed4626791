"""Last uses of API keys, on both databases."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from sqlalchemy.ext.asyncio import AsyncConnection

from sympozium_archive.database import Database
from sympozium_archive.key_uses import KeyUses

MINUTE = 60_000_000


async def test_thousands_of_uses_are_written_in_parts_between_which_others_write(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    transactions = 0
    writing = Database.writing

    @asynccontextmanager
    async def counted(self: Database) -> AsyncIterator[AsyncConnection]:
        nonlocal transactions
        transactions += 1
        async with writing(self) as connection:
            yield connection

    monkeypatch.setattr(Database, "writing", counted)
    uids = [f"uid-{number}" for number in range(1100)]
    uses = KeyUses(database)
    await uses.record(dict.fromkeys(uids, MINUTE))
    assert transactions == 3
    await uses.record({"uid-1": 2 * MINUTE - 1, "uid-2": 2 * MINUTE})
    assert await uses.last(uids) == dict.fromkeys(uids, MINUTE) | {"uid-2": 2 * MINUTE}
