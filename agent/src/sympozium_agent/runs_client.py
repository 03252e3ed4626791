"""The agent's side of the runs surface: the task in, the records out, until somebody has stored the end of the run."""

import asyncio
import json
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from enum import Enum
from itertools import cycle
from time import monotonic
from typing import Any, cast

from sympozium_agent.log import log
from sympozium_agent.settings import Timeouts
from sympozium_agent.transport.http1 import Answer, Broken, Exchange, exchange
from sympozium_api.agent_protocol import MAX_RECORD_BYTES, End, Record, Started, Task, WarmupHints, error

_UNWANTED = frozenset({401, 403, 410})
"""The answers after which an idle pod need not ask again."""
_PASSING = frozenset({408, 425, 429})
"""The 4xx answers after which the same request may succeed."""


class TaskRefused(Exception):
    """A runs surface will never give this pod the task; ``status`` says why: 401, 403, 404, 409 or 410."""

    def __init__(self, status: int) -> None:
        super().__init__(f"the runs surface answered {status}")
        self.status = status


class Unused(Exception):
    """An idle pod ends without a task: its time is over, or nobody wants it."""


class Outcome(Enum):
    """How the delivery of a run's records ended."""

    STORED = "stored"
    """The end record is stored."""
    OVER = "over"
    """The run was cancelled or has ended otherwise: nobody wants the records."""
    REFUSED = "refused"
    """No runs surface takes records from this pod."""


class RunsClient:
    """The runs surfaces of one run, each of which can do everything. ``token`` returns the pod's bearer token.

    An idle pod's has no run (None) until ``any_task`` has brought one.
    """

    def __init__(
        self, run: str | None, addresses: Sequence[str], *, token: Callable[[], str], patience: Timeouts
    ) -> None:
        self._run = run
        self.addresses = addresses
        self.patience = patience
        self._token = token

    def url(self, address: str, leaf: str) -> str:
        """Where an address has the run's ``task`` or ``events``."""
        return f"{address}/runs/{self._run}/{leaf}"

    def headers(self) -> dict[str, str]:
        """What authenticates the pod."""
        return {"authorization": f"Bearer {self._token()}"}

    async def task(self) -> Task:
        """The pod's task, as soon as there is one. Raises TaskRefused."""
        addresses, pauses = cycle(self.addresses), self.pauses()
        address = next(addresses)
        while True:
            answer = await self._ask(self.url(address, "task"))
            if answer is not None and answer.status == 200:
                return cast(Task, json.loads(answer.body))
            if answer is not None and _is_final(answer.status):
                raise TaskRefused(answer.status)
            if answer is not None and answer.status == 204:
                pauses = self.pauses()
            else:
                log("task_not_reached", address=address, status=answer.status if answer else None)
                address = next(addresses)
            await asyncio.sleep(next(pauses))

    async def prospect(self, instance: str) -> WarmupHints | None:
        """What a run of the instance will need, as soon as a surface says so; None: none will."""
        for pause in self.pauses():
            answer = await self._ask(f"{self.addresses[0]}/instances/{instance}/prospect")
            if answer is not None and answer.status == 200:
                return cast(WarmupHints, json.loads(answer.body))
            if answer is not None and _is_final(answer.status):
                break
            await asyncio.sleep(pause)
        return None

    async def any_task(self, instance: str, ttl: float) -> Task:
        """The task of whatever run of the instance is given to this pod, within ``ttl`` seconds. Raises Unused.

        A surface that has answered 204 has not given this pod to any run. One that was lost, or could not put the task together,
        may have: the next one is told so, and looks first (``lost``).
        """
        began = answered_at = monotonic()
        url, lost, pauses = f"{self.addresses[0]}/instances/{instance}/task", False, self.pauses()
        while monotonic() - began < ttl and monotonic() - answered_at < self.patience.idle:
            answer = await self._ask(f"{url}?lost=1" if lost else url)
            if answer is not None and answer.status == 200:
                return self._bind(cast(Task, json.loads(answer.body)))
            if answer is not None and answer.status in _UNWANTED:
                break
            lost = answer is None or answer.status != 204
            if not lost:
                answered_at, pauses = monotonic(), self.pauses()
            await asyncio.sleep(next(pauses))
        raise Unused

    def _bind(self, task: Task) -> Task:
        """From now on this is the mailbox of the task's run, whose caller is at the task's own surface."""
        self._run = task["run"]
        if surface := task.get("surface"):
            self.addresses = [surface, *self.addresses]
        return task

    async def _ask(self, url: str) -> Answer | None:
        try:
            async with (
                asyncio.timeout(self.patience.task),
                exchange("GET", url, self.headers(), connect=self.patience.connect) as request,
            ):
                request.finish()
                return await request.answer()
        except (Broken, TimeoutError):
            return None

    def pauses(self) -> Iterator[float]:
        """Pauses between attempts: doubling, and jittered so that the pods of a dead replica do not return as one."""
        pause = self.patience.first_pause
        while True:
            yield pause * (0.5 + int.from_bytes(os.urandom(2), "big") / 131070)
            pause = min(2 * pause, self.patience.longest_pause)


class RecordDelivery:
    """The records of a run on their way: one open request, and where it breaks, the next, until the end is stored.

    ``push`` and ``end`` never wait; ``deliver`` is the task that holds the connection.
    """

    def __init__(self, mailbox: RunsClient) -> None:
        self._mailbox = mailbox
        self._unsent: list[bytes] = []
        self._end: bytes | None = None
        self._ended = asyncio.Event()
        self._open: Exchange | None = None
        self._resumed = False
        self._limit = asyncio.timeout(None)

    def push(self, record: Record) -> None:
        """Send a record at once, or as soon as a connection is there. One that nobody would read is left out."""
        line = _line(record)
        if len(line) > MAX_RECORD_BYTES:
            return  # the end record says what became of it
        if self._open is None:
            self._unsent.append(line)
        else:
            self._open.send(line)

    def end(self, record: End) -> None:
        """Send the end record; ``deliver`` returns once it is stored."""
        line = _line(record)
        if len(line) > MAX_RECORD_BYTES:
            line = _line(error("answer_too_large", f"the answer has {len(line)} bytes", 502, record["durationMs"]))
        self._end = line
        self._ended.set()
        if self._open is not None:
            self._send_end(self._open, self._end)

    async def deliver(self) -> Outcome:
        """Hold a request open at one address after the other until the end is stored, or nobody wants it."""
        refused: set[str] = set()
        for address, pause in zip(cycle(self._mailbox.addresses), self._mailbox.pauses(), strict=False):
            answer = await self._attempt(address)
            outcome = judged(answer)
            if outcome is Outcome.OVER or (outcome is Outcome.STORED and self._end is not None):
                return outcome
            log("events_broken", address=address, status=answer.status if answer else None)
            refused = refused | {address} if outcome is Outcome.REFUSED else refused - {address}
            if refused == set(self._mailbox.addresses):
                break
            await self._pause(pause)
        return Outcome.REFUSED

    async def _attempt(self, address: str) -> Answer | None:
        url, headers = self._mailbox.url(address, "events"), self._mailbox.headers()
        headers |= {"content-type": "application/x-ndjson", "transfer-encoding": "chunked"}
        try:
            async with (
                exchange("POST", url, headers, connect=self._mailbox.patience.connect) as request,
                asyncio.timeout(None) as self._limit,
            ):
                self._begin(request)
                return await request.answer()
        except (Broken, TimeoutError):
            return None
        finally:
            self._open = None

    def _begin(self, request: Exchange) -> None:
        """Say what is known: the end alone where there is one, or that the run goes on."""
        if self._end is not None and not self._unsent:
            self._send_end(request, self._end)
            return
        started = Started(type="started", resumed=True) if self._resumed else Started(type="started")
        request.send(b"".join([_line(started), *self._unsent]))
        self._unsent.clear()
        self._open, self._resumed = request, True
        if self._end is not None:
            self._send_end(request, self._end)

    def _send_end(self, request: Exchange, end: bytes) -> None:
        self._open = None
        request.send(end)
        request.finish()
        self._limit.reschedule(asyncio.get_running_loop().time() + self._mailbox.patience.acknowledgement)

    async def _pause(self, seconds: float) -> None:
        """Wait before the next attempt; an end record that comes meanwhile does not wait."""
        if self._end is not None:
            await asyncio.sleep(seconds)
        else:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._ended.wait(), seconds)


def judged(answer: Answer | None) -> Outcome | None:
    """What an answer to records means; None is a reason to try again."""
    match answer:
        case Answer(status=200, body=body):
            return Outcome.STORED if _says_stored(body) else None
        case Answer(status=409 | 410):
            return Outcome.OVER
        case Answer(status=status) if _is_final(status):
            return Outcome.REFUSED
    return None


def _says_stored(body: bytes) -> bool:
    try:
        found: Any = json.loads(body)
    except ValueError:
        return False
    return isinstance(found, dict) and found.get("stored") is True


def _is_final(status: int) -> bool:
    return 400 <= status < 500 and status not in _PASSING


def _line(record: Record) -> bytes:
    """A record as one line. ASCII: half a surrogate pair, which a model may send in one chunk, passes and is joined later."""
    return json.dumps(record, separators=(",", ":")).encode() + b"\n"
