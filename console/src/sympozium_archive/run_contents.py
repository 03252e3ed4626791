"""Contents of ended runs: questions, answers and steps, compressed, in a table of their own."""

import asyncio
import json
import zlib
from collections.abc import Mapping
from typing import Any

from sqlalchemy import literal, select, update

from sympozium_api.clock import Clock, SystemClock
from sympozium_archive.database import Database
from sympozium_archive.tables import CONTENT_KEPT, CONTENT_NONE, CONTENT_UNREAD, run_contents, runs
from sympozium_archive.times import microseconds

_THREAD_BYTES = 64 * 1024
"""Bytes from which JSON is packed in a thread: below, a millisecond of the loop costs less than the way there."""


class Contents:
    """The contents of runs, by UID."""

    def __init__(self, database: Database, clock: Clock | None = None) -> None:
        self._database = database
        self._clock = clock or SystemClock()

    async def put(self, uid: str, content: Mapping[str, Any]) -> bool:
        """Store a run's content, JSON, in place of an earlier one, and return True.

        A run that is private, or has no row, has no content: nothing is stored, and False returned. Raises DatabaseUnavailable.
        """
        if _size(content) < _THREAD_BYTES:
            packed, size = pack(content)
        else:
            packed, size = await asyncio.to_thread(pack, content)
        async with self._database.writing() as connection:
            # Locked, because a discard at the same time must find the content or forbid it.
            row = await connection.execute(select(runs.c.is_private).where(runs.c.uid == uid).with_for_update())
            if (is_private := row.scalar()) is None:
                return False
            await connection.execute(run_contents.delete().where(run_contents.c.uid == uid))
            if not is_private:
                values = {"content": packed, "bytes": size, "stored_at": microseconds(self._clock.now())}
                await connection.execute(run_contents.insert().values(uid=uid, **values))
            state = CONTENT_NONE if is_private else CONTENT_KEPT
            await connection.execute(update(runs).where(runs.c.uid == uid).values(content_state=state))
        return not is_private

    async def get(self, uid: str) -> dict[str, Any] | None:
        """Return a run's content; None if there is none. Raises DatabaseUnavailable."""
        statement = select(run_contents.c.content, run_contents.c.bytes).where(run_contents.c.uid == uid)
        async with self._database.reading() as connection:
            row = (await connection.execute(statement)).first()
        if row is None:
            return None
        return unpack(row.content) if row.bytes < _THREAD_BYTES else await asyncio.to_thread(unpack, row.content)

    async def remove(self, uid: str) -> None:
        """Remove a run's content, if there is one; it is not read again. Raises DatabaseUnavailable."""
        async with self._database.writing() as connection:
            await connection.execute(run_contents.delete().where(run_contents.c.uid == uid))
            await connection.execute(update(runs).where(runs.c.uid == uid).values(content_state=CONTENT_NONE))

    async def give_up_gone(self) -> int:
        """Note that the unread contents of runs that are gone from Kubernetes are lost, and return their number.

        Raises DatabaseUnavailable.
        """
        lost = (runs.c.content_state == literal(CONTENT_UNREAD, literal_execute=True), runs.c.deleted_at.is_not(None))
        async with self._database.writing() as connection:
            return (await connection.execute(update(runs).where(*lost).values(content_state=CONTENT_NONE))).rowcount


def pack(content: Mapping[str, Any]) -> tuple[bytes, int]:
    """Return a content as compressed JSON, and the JSON's bytes. Escapes stand for all characters that are not ASCII, and for lone
    surrogates, which UTF-8 refuses.
    """
    text = json.dumps(content, separators=(",", ":")).encode("ascii")
    return zlib.compress(text), len(text)


def unpack(packed: bytes) -> dict[str, Any]:
    """Return the content that was packed."""
    content: dict[str, Any] = json.loads(zlib.decompress(packed))
    return content


def _size(value: Any) -> int:
    """Return the length of all texts in a JSON value, which is most of its length."""
    if isinstance(value, str):
        return len(value)
    if isinstance(value, Mapping):
        return sum(map(_size, value.values()))
    return sum(map(_size, value)) if isinstance(value, list | tuple) else 1
