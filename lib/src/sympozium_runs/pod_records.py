"""Records of an agent pod as they arrive in one open request: one JSON object per line."""

import asyncio
import json
import re
from collections.abc import AsyncIterator
from datetime import datetime
from typing import Any, cast

from starlette.exceptions import HTTPException
from starlette.requests import Request

from sympozium_api import agent_protocol, end_record, terminal_status
from sympozium_api.agent_protocol import END_RECORDS, MAX_RECORD_BYTES, MAX_RECORDS_BYTES
from sympozium_api.agent_records import Record
from sympozium_api.clock import Clock
from sympozium_runs.long_answers import LONG_BYTES, Turn, is_long

_FUNCTION = re.compile("[A-Za-z_][A-Za-z0-9_-]{0,63}")


class PodRecords:
    """The records of one request, the moment of the first piece of the answer among them, and their tokens."""

    def __init__(self, request: Request, clock: Clock, turn: Turn) -> None:
        """``turn`` is taken for a long record, and kept beyond ``read`` if that is the end record."""
        self._request = request
        self._clock = clock
        self._turn = turn
        self._is_resumed = False
        self.began = clock.now()
        """Time of the request."""
        self.first_token_at: datetime | None = None
        """Time of the first delta; None without one, and where an earlier request may have carried it."""
        self.tokens = 0
        """Tokens so far: the model's count of each call that it has finished, and one per piece of an answer that is not finished."""
        self._pieces = 0

    async def read(self) -> AsyncIterator[tuple[Record, int]]:
        """Yield each record with the length of its line in bytes. Raises HTTPException 413, 422 and 503."""
        async for line in self._lines():
            record = await asyncio.to_thread(_record, line) if is_long(len(line)) else _record(line)
            self._note(record)
            if record["type"] not in END_RECORDS:
                self._turn.give_back()
            yield record, len(line)

    def _note(self, record: Record) -> None:
        if record["type"] == "started" and record.get("resumed"):
            self._is_resumed = True
        if record["type"] == "delta" and self.first_token_at is None and not self._is_resumed:
            self.first_token_at = self._clock.now()
        if record["type"] == "delta":
            self._pieces, self.tokens = self._pieces + 1, self.tokens + 1
        elif record["type"] == "usage":
            self.tokens += terminal_status.count_tokens(record.get("usage")) - self._pieces
            self._pieces = 0

    async def _lines(self) -> AsyncIterator[bytes]:
        rest, total = bytearray(), 0
        async for chunk in self._chunks():
            total += len(chunk)
            if total > MAX_RECORDS_BYTES:
                raise HTTPException(413, f"the records are longer than {MAX_RECORDS_BYTES} bytes")
            first, *others = chunk.split(b"\n")
            rest += first
            for part in others:
                line, rest = bytes(rest), bytearray(part)
                yield line
            if len(rest) > MAX_RECORD_BYTES:
                raise HTTPException(413, f"a record is longer than {MAX_RECORD_BYTES} bytes")
            if len(rest) > LONG_BYTES:
                await self._turn.take()
        if rest.strip():
            yield bytes(rest)

    async def _chunks(self) -> AsyncIterator[bytes]:
        stream = self._request.stream()
        while True:
            try:
                async with asyncio.timeout(self._turn.remaining_seconds()):
                    chunk = await anext(stream)
            except StopAsyncIteration:
                return
            except TimeoutError as error:
                raise HTTPException(503, "the record came too slowly") from error
            yield chunk


def _record(line: bytes) -> Record:
    try:
        record: Any = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise HTTPException(422, "a record is not JSON") from error
    if not isinstance(record, dict) or not isinstance(record.get("type"), str):
        raise HTTPException(422, "a record is not an object with a type")
    if record["type"] in END_RECORDS:
        return end_record.end_of(record)
    if record["type"] == "delta" and not agent_protocol.is_delta(record):
        raise HTTPException(422, "a delta has no list of choices")
    if record["type"] == "tool" and not _is_tool(record):
        raise HTTPException(422, "a record of a tool has no state, id or function")
    return cast(Record, record)


def _is_tool(record: dict[str, Any]) -> bool:
    """Return true for a record that callers may be told: its function is a name, because it becomes a line of their streams."""
    call_id, function = record.get("id"), record.get("function")
    is_named = isinstance(function, str) and _FUNCTION.fullmatch(function) and isinstance(call_id, str)
    return bool(is_named) and record.get("state") in ("started", "ended")
