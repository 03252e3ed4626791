"""Delivery of a run's records to the agent API: one open request after another, until the end record is stored."""

import asyncio
import json
from contextlib import suppress
from enum import Enum
from itertools import cycle
from typing import Any

from sympozium_agent.log import log
from sympozium_agent.runs_client import RunsClient, is_final
from sympozium_agent.transport.http1 import Http1Request, HttpResponse, TransportError, open_request
from sympozium_api.agent_protocol import MAX_RECORD_BYTES, End, Record, Started, error


class DeliveryOutcome(Enum):
    """The result of the delivery of a run's records."""

    STORED = "stored"
    """The end record is stored."""
    OVER = "over"
    """The run was cancelled or has ended otherwise: the records are no longer wanted."""
    REFUSED = "refused"
    """No replica accepts records from this pod."""


class RecordDelivery:
    """The records of one run on their way: when the request that carries them breaks, the next one continues.

    ``push`` and ``end`` never wait; ``deliver`` is the task that holds the connection.
    """

    def __init__(self, client: RunsClient) -> None:
        self._client = client
        self._unsent: list[bytes] = []
        self._end: bytes | None = None
        self._ended = asyncio.Event()
        self._open: Http1Request | None = None
        self._resumed = False
        self._limit = asyncio.timeout(None)

    def push(self, record: Record) -> None:
        """Send a record at once, or as soon as a connection is open. A record longer than the agent API reads is dropped."""
        line = _line(record)
        if len(line) > MAX_RECORD_BYTES:
            return  # the end record reports it
        if self._open is None:
            self._unsent.append(line)
        else:
            self._open.send(line)

    def end(self, record: End) -> None:
        """Send the end record; ``deliver`` returns once it is stored."""
        line = _line(record)
        if len(line) > MAX_RECORD_BYTES:
            line = _line(error("answer_too_large", f"The answer has {len(line)} bytes.", 502, record["durationMs"]))
        self._end = line
        self._ended.set()
        if self._open is not None:
            self._send_end(self._open, self._end)

    async def deliver(self) -> DeliveryOutcome:
        """Hold a request open at one address after another until the end record is stored or no longer wanted."""
        refused: set[str] = set()
        for address, pause in zip(cycle(self._client.addresses), self._client.backoff(), strict=False):
            response = await self._attempt(address)
            outcome = outcome_of(response)
            if outcome is DeliveryOutcome.OVER or (outcome is DeliveryOutcome.STORED and self._end is not None):
                return outcome
            log("events_broken", address=address, status=response.status if response else None)
            refused = refused | {address} if outcome is DeliveryOutcome.REFUSED else refused - {address}
            if refused == set(self._client.addresses):
                break
            await self._pause(pause)
        return DeliveryOutcome.REFUSED

    async def _attempt(self, address: str) -> HttpResponse | None:
        url, headers = self._client.url(address, "events"), self._client.headers()
        headers |= {"content-type": "application/x-ndjson", "transfer-encoding": "chunked"}
        try:
            async with (
                open_request("POST", url, headers, connect_timeout=self._client.timeouts.connect) as request,
                asyncio.timeout(None) as self._limit,
            ):
                self._begin(request)
                return await request.response()
        except (TransportError, TimeoutError):
            return None
        finally:
            self._open = None

    def _begin(self, request: Http1Request) -> None:
        """Send the end record alone if there is one, or else that the run continues and what is unsent."""
        if self._end is not None and not self._unsent:
            self._send_end(request, self._end)
            return
        started = Started(type="started", resumed=True) if self._resumed else Started(type="started")
        request.send(b"".join([_line(started), *self._unsent]))
        self._unsent.clear()
        self._open, self._resumed = request, True
        if self._end is not None:
            self._send_end(request, self._end)

    def _send_end(self, request: Http1Request, end: bytes) -> None:
        self._open = None
        request.send(end)
        request.finish()
        self._limit.reschedule(asyncio.get_running_loop().time() + self._client.timeouts.acknowledgement)

    async def _pause(self, seconds: float) -> None:
        """Wait before the next attempt; an end record that comes meanwhile ends the wait."""
        if self._end is not None:
            await asyncio.sleep(seconds)
        else:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._ended.wait(), seconds)


def outcome_of(response: HttpResponse | None) -> DeliveryOutcome | None:
    """Return the outcome that a response to records means; None: the delivery is to be tried again."""
    match response:
        case HttpResponse(status=200, body=body):
            return DeliveryOutcome.STORED if _says_stored(body) else None
        case HttpResponse(status=409 | 410):
            return DeliveryOutcome.OVER
        case HttpResponse(status=status) if is_final(status):
            return DeliveryOutcome.REFUSED
    return None


def _says_stored(body: bytes) -> bool:
    try:
        acknowledgement: Any = json.loads(body)
    except ValueError:
        return False
    return isinstance(acknowledgement, dict) and acknowledgement.get("stored") is True


def _line(record: Record) -> bytes:
    """Return a record as one line. With half a surrogate pair, which a model may send in one chunk, it is ASCII, so that it passes."""
    try:
        return json.dumps(record, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"
    except UnicodeEncodeError:
        return json.dumps(record, separators=(",", ":")).encode() + b"\n"
