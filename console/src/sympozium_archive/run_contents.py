"""Contents of ended runs: questions, answers and steps, compressed, in a table of their own."""

import asyncio
import json
import zlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import literal, select, update

from sympozium_api.clock import Clock, SystemClock
from sympozium_archive.database import Database
from sympozium_archive.tables import CONTENT_KEPT, CONTENT_NONE, CONTENT_UNREAD, run_contents, runs
from sympozium_archive.times import microseconds

_THREAD_BYTES = 64 * 1024
"""Bytes from which JSON is packed in a thread: below, a millisecond of the loop costs less than the way there."""


@dataclass(frozen=True)
class PackedContent:
    """A run's content as it is stored: compressed JSON."""

    uid: str
    content: bytes
    size: int
    """Bytes of the JSON."""


class Contents:
    """The contents of runs, by UID."""

    def __init__(self, database: Database, clock: Clock | None = None) -> None:
        self._database = database
        self._clock = clock or SystemClock()

    async def put(self, uid: str, content: Mapping[str, Any]) -> bool:
        """Store a run's content, JSON, in place of an earlier one, and return True.

        A run that is private, or has no row, has no content: nothing is stored, and False returned. Raises DatabaseUnavailable.
        """
        return uid in await self.put_all([await packed(uid, content)])

    async def put_all(self, contents: Collection[PackedContent]) -> set[str]:
        """Store the contents of runs in one transaction, and return the UIDs of those that were stored.

        A transaction costs several milliseconds, however many contents it stores. Raises DatabaseUnavailable.
        """
        by_uid = {content.uid: content for content in contents}
        is_private = select(runs.c.uid, runs.c.is_private).where(runs.c.uid.in_(sorted(by_uid))).order_by(runs.c.uid)
        async with self._database.writing() as connection:
            # Locked, because a discard at the same time must find the content or forbid it.
            locked = await connection.execute(is_private.with_for_update())
            private: dict[str, bool] = {row.uid: row.is_private for row in locked}
            stored = sorted(uid for uid, flag in private.items() if not flag)
            await connection.execute(run_contents.delete().where(run_contents.c.uid.in_(sorted(private))))
            if stored:
                now = microseconds(self._clock.now())
                values = [
                    {"uid": uid, "content": by_uid[uid].content, "bytes": by_uid[uid].size, "stored_at": now}
                    for uid in stored
                ]
                await connection.execute(run_contents.insert(), values)
            for state, uids in (
                (CONTENT_KEPT, stored),
                (CONTENT_NONE, sorted(uid for uid, flag in private.items() if flag)),
            ):
                if uids:
                    await connection.execute(update(runs).where(runs.c.uid.in_(uids)).values(content_state=state))
        return set(stored)

    async def get(self, uid: str) -> dict[str, Any] | None:
        """Return a run's content; None if there is none. Raises DatabaseUnavailable."""
        statement = select(run_contents.c.content, run_contents.c.bytes).where(run_contents.c.uid == uid)
        async with self._database.reading() as connection:
            row = (await connection.execute(statement)).first()
        if row is None:
            return None
        return unpack(row.content) if row.bytes < _THREAD_BYTES else await asyncio.to_thread(unpack, row.content)

    async def remove(self, uid: str) -> bool:
        """Remove a run's content, if there is one; it is not read again. Return False if that was so before.

        Raises DatabaseUnavailable.
        """
        mark = update(runs).where(runs.c.uid == uid, runs.c.content_state != CONTENT_NONE)
        async with self._database.writing() as connection:
            await connection.execute(run_contents.delete().where(run_contents.c.uid == uid))
            return bool((await connection.execute(mark.values(content_state=CONTENT_NONE))).rowcount)

    async def give_up_gone(self, until: int) -> int:
        """Note that the unread contents of runs that are gone from Kubernetes since ``until`` or before are lost.

        Return their number. Raises DatabaseUnavailable.
        """
        lost = (
            runs.c.content_state == literal(CONTENT_UNREAD, literal_execute=True),
            runs.c.deleted_at.is_not(None),  # by this part the index is used
            runs.c.deleted_at <= until,
        )
        async with self._database.writing() as connection:
            return (await connection.execute(update(runs).where(*lost).values(content_state=CONTENT_NONE))).rowcount


async def packed(uid: str, content: Mapping[str, Any]) -> PackedContent:
    """Return a run's content as it is stored; a long one is packed in a thread."""
    if _size(content) < _THREAD_BYTES:
        return PackedContent(uid, *pack(content))
    return PackedContent(uid, *await asyncio.to_thread(pack, content))


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
