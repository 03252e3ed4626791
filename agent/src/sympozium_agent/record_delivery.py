"""Delivery of a run's records to the agent API: one open request after another, until the end record is stored."""

from __future__ import annotations

import json
from collections import deque
from enum import Enum
from itertools import cycle

from sympozium_agent.log import log
from sympozium_agent.runs_client import is_final
from sympozium_agent.transport.errors import TransportError
from sympozium_agent.transport.http1 import HttpResponse, open_request
from sympozium_agent.waiting import DeadlineExceeded, Event
from sympozium_api.agent_protocol import MAX_RECORD_BYTES, error

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from sympozium_agent.runs_client import RunsClient
    from sympozium_agent.transport.http1 import Http1Request
    from sympozium_agent.waiting import Scope
    from sympozium_api.agent_records import End, Record, Started


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

    ``push`` and ``end`` are called by the thread that makes the records, and never wait; ``deliver`` has a thread of its own, which
    alone touches the connection.
    """

    def __init__(self, client: RunsClient) -> None:
        self._client = client
        self._unsent: deque[bytes] = deque()
        self._end: bytes | None = None
        self._changed = Event()
        """Set when there is something to send."""
        self._ended = Event()
        self._resumed = False

    def push(self, record: Record) -> None:
        """Send a record at once, or as soon as a connection is open. A record longer than the agent API reads is dropped."""
        line = _line(record)
        if len(line) <= MAX_RECORD_BYTES:  # else the end record reports it
            self._unsent.append(line)
            self._changed.set()

    def end(self, record: End) -> None:
        """Send the end record; ``deliver`` returns once it is stored."""
        line = _line(record)
        if len(line) > MAX_RECORD_BYTES:
            line = _line(error("answer_too_large", f"The answer has {len(line)} bytes.", 502, record["durationMs"]))
        self._end = line
        self._ended.set()
        self._changed.set()

    def deliver(self, scope: Scope) -> DeliveryOutcome:
        """Hold a request open at one address after another until the end record is stored or no longer wanted."""
        refused: set[str] = set()
        for address, pause in zip(cycle(self._client.addresses), self._client.backoff(), strict=False):
            response = self._attempt(address, scope)
            outcome = outcome_of(response)
            if outcome is DeliveryOutcome.OVER or (outcome is DeliveryOutcome.STORED and self._end is not None):
                return outcome
            log("events_broken", address=address, status=response.status if response else None)
            refused = refused | {address} if outcome is DeliveryOutcome.REFUSED else refused - {address}
            if refused == set(self._client.addresses):
                break
            self._pause(pause, scope)
        return DeliveryOutcome.REFUSED

    def _attempt(self, address: str, scope: Scope) -> HttpResponse | None:
        url, headers = self._client.url(address, "events"), self._client.headers()
        headers |= {"content-type": "application/x-ndjson", "transfer-encoding": "chunked"}
        try:
            with open_request("POST", url, headers, scope, connect_timeout=self._client.timeouts.connect) as request:
                return self._send_records(request, scope)
        except TransportError:
            return None
        except DeadlineExceeded:
            scope.check()
            return None

    def _send_records(self, request: Http1Request, scope: Scope) -> HttpResponse:
        """Send what there is and what comes, until the response has come; after the end record, wait a limited time for it."""
        if self._end is None or self._unsent:
            request.send(_line(self._started()))
        while not request.is_answered:
            self._changed.clear()
            end = self._end  # read before the records, which all precede it
            while self._unsent:
                request.send(self._unsent.popleft())
            if end is not None:
                request.send(end)
                request.finish()
                break
            request.wait(scope, self._changed)
        return request.response(scope.within(self._client.timeouts.acknowledgement))

    def _started(self) -> Started:
        started: Started = {"type": "started"}
        if self._resumed:
            started["resumed"] = True
        self._resumed = True
        return started

    def _pause(self, seconds: float, scope: Scope) -> None:
        """Wait before the next attempt; an end record that comes meanwhile ends the wait."""
        if self._end is not None:
            scope.sleep(seconds)
        else:
            scope.wait(self._ended, seconds=seconds)


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
