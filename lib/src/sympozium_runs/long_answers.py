"""Answers that are long: read and stored one at a time, and prepared in a thread, because each takes several times its text."""

import asyncio

from starlette.exceptions import HTTPException

from sympozium_api import terminal_status
from sympozium_api.agent_protocol import MAX_RECORD_BYTES
from sympozium_api.agent_records import End
from sympozium_api.run_status import RunStatus
from sympozium_api.terminal_status import Ending
from sympozium_http.byte_budget import ByteBudget
from sympozium_runs.run_parts import answer_size

LONG_BYTES = 1024 * 1024
"""Bytes of a record from which it is read in a turn: a few such records of many pods at once would end the container."""
_LARGEST_AT_ONCE = 256 * 1024
"""Bytes of an end record from which it is parsed and prepared in a thread."""
_COPIES = 4
"""Copies of a long answer while it is stored: its line, its values, its text and its parts."""
_WAIT_SECONDS = 8.0
"""Seconds for which a pod waits for its turn: below the time for which it waits for the acknowledgement."""
_READ_SECONDS = 30.0
"""Seconds in which a pod in its turn sends the record."""


class LongAnswers:
    """The turns of an agent API."""

    def __init__(self, budget: ByteBudget) -> None:
        self._budget = budget
        self._one = asyncio.Semaphore(1)

    def turn(self) -> "Turn":
        """Return the turn of a request with records, which it does not have yet."""
        return Turn(self._one, self._budget)


class Turn:
    """The right of one request to hold a long record."""

    def __init__(self, one: asyncio.Semaphore, budget: ByteBudget) -> None:
        self._one = one
        self._budget = budget
        self._until: float | None = None

    async def take(self) -> None:
        """Wait for the turn, unless the request has it. Raises HTTPException 503, upon which the pod repeats its record."""
        if self._until is not None:
            return
        try:
            async with asyncio.timeout(_WAIT_SECONDS):
                await self._one.acquire()
        except TimeoutError as error:
            raise HTTPException(503, "other long records are being stored") from error
        self._until = asyncio.get_running_loop().time() + _READ_SECONDS
        self._budget.add(_COPIES * MAX_RECORD_BYTES)

    def remaining_seconds(self) -> float | None:
        """Return the time that is left to read the record; None without a turn."""
        return None if self._until is None else self._until - asyncio.get_running_loop().time()

    def give_back(self) -> None:
        """End the turn, if the request has it."""
        if self._until is not None:
            self._until = None
            self._budget.add(-_COPIES * MAX_RECORD_BYTES)
            self._one.release()


def is_long(size: int) -> bool:
    """Return whether a record of this many bytes takes so long that it is handled in a thread."""
    return size > _LARGEST_AT_ONCE


async def ending(record: End, size: int) -> Ending:
    """Return an end record, whose line has ``size`` bytes, as it is stored."""
    make = terminal_status.ending_of
    return await asyncio.to_thread(make, record) if is_long(size) else make(record)


async def record_of(status: RunStatus) -> End:
    """Return the end record that a terminal status was written from; its long answer was read from parts."""
    make = terminal_status.record_of
    return await asyncio.to_thread(make, status) if answer_size(status) is not None else make(status)
