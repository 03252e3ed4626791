"""Contents of ended runs: questions, answers and steps, compressed, in a table of their own."""

import asyncio
import json
import zlib
from collections.abc import AsyncIterator, Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import LargeBinary, func, literal, select, update

from sympozium_api.clock import Clock, SystemClock
from sympozium_archive.database import Database
from sympozium_archive.tables import CONTENT_KEPT, CONTENT_NONE, CONTENT_UNREAD, run_contents, runs
from sympozium_archive.times import microseconds
from sympozium_archive.unavailable import DatabaseUnavailable

_THREAD_BYTES = 64 * 1024
"""Bytes from which JSON is packed in a thread: below, a millisecond of the loop costs less than the way there."""
PART_BYTES = 256 * 1024
"""Compressed bytes that a reader of a content holds at most."""
PIECE_BYTES = 64 * 1024
"""Bytes of a content's JSON that a reader gets at a time."""


@dataclass(frozen=True)
class PackedContent:
    """A run's content as it is stored: compressed JSON."""

    uid: str
    content: bytes
    size: int
    """Bytes of the JSON."""


@dataclass(frozen=True)
class StoredContent:
    """A run's content, JSON in ASCII, which is read in pieces: a few may have 16 MiB, and many callers read at once."""

    size: int
    """Bytes of the JSON."""
    pieces: AsyncIterator[bytes]


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

    async def open(self, uid: str) -> StoredContent | None:
        """Return a run's content; None if there is none. Raises DatabaseUnavailable, and so does reading its pieces."""
        first = await self._part(uid, 0)
        return None if first is None else StoredContent(first.bytes, self._pieces(uid, first))

    async def read(self, uid: str) -> dict[str, Any] | None:
        """Return a run's content as a value; None if there is none. One of 16 MiB takes several times that."""
        if (stored := await self.open(uid)) is None:
            return None
        text = b"".join([piece async for piece in stored.pieces])
        content: dict[str, Any] = (
            json.loads(text) if len(text) < _THREAD_BYTES else await asyncio.to_thread(json.loads, text)
        )
        return content

    async def _pieces(self, uid: str, part: Any) -> AsyncIterator[bytes]:
        unpacking, stored_at, read = zlib.decompressobj(), part.stored_at, 0
        while True:
            for piece in _unpacked(unpacking, part.part):
                yield piece
            read += len(part.part)
            if read >= part.length:
                return
            part = await self._part(uid, read)
            if part is None or part.stored_at != stored_at:
                raise DatabaseUnavailable("busy", "the content was replaced while it was read")

    async def _part(self, uid: str, start: int) -> Any:
        columns = run_contents.c
        part = func.substr(columns.content, start + 1, PART_BYTES, type_=LargeBinary())
        statement = select(
            part.label("part"), func.length(columns.content).label("length"), columns.bytes, columns.stored_at
        )
        async with self._database.reading() as connection:
            return (await connection.execute(statement.where(columns.uid == uid))).first()

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


def _unpacked(unpacking: Any, packed: bytes) -> Iterator[bytes]:
    """Yield what compressed bytes stand for, in pieces."""
    while packed:
        if piece := unpacking.decompress(packed, PIECE_BYTES):
            yield piece
        packed = unpacking.unconsumed_tail
    if piece := unpacking.flush():
        yield piece


def _size(value: Any) -> int:
    """Return the length of all texts in a JSON value, which is most of its length."""
    if isinstance(value, str):
        return len(value)
    if isinstance(value, Mapping):
        return sum(map(_size, value.values()))
    return sum(map(_size, value)) if isinstance(value, list | tuple) else 1
