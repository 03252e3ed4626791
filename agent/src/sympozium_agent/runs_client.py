"""Client of the agent API: fetches the pod's task and says where and how the records of its run are delivered."""

from __future__ import annotations

import json
import os
from itertools import cycle
from time import monotonic

from sympozium_agent.log import log
from sympozium_agent.transport.errors import TransportError
from sympozium_agent.transport.http1 import open_request
from sympozium_agent.waiting import DeadlineExceeded
from sympozium_api.agent_protocol import read_task

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from sympozium_agent.agent_settings import Timeouts
    from sympozium_agent.transport.http1 import HttpResponse
    from sympozium_agent.waiting import Scope
    from sympozium_api.agent_records import Task, WarmupHints

_UNWANTED = frozenset({401, 403, 410})
"""Statuses after which an idle pod need not poll again."""
_TEMPORARY = frozenset({408, 425, 429})
"""Statuses from 400 to 499 after which the same request may succeed."""


class TaskRefused(Exception):
    """The agent API will never give this pod the task; ``status`` says why: 401, 403, 404, 409 or 410."""

    def __init__(self, status: int) -> None:
        super().__init__(f"the agent API answered {status}")
        self.status = status


class Unused(Exception):
    """An idle pod ends without a task: its time is over, or its pool does not want it any more."""


class RunsClient:
    """One run's client of the agent API, whose addresses all serve the same requests. ``token`` returns the pod's bearer token.

    An idle pod's client has no run (None) until ``claimed_task`` returns. All waiting is in a scope, whose Cancelled and
    DeadlineExceeded the methods raise.
    """

    def __init__(
        self, run: str | None, addresses: Sequence[str], *, token: Callable[[], str], timeouts: Timeouts
    ) -> None:
        self._run = run
        self.addresses = addresses
        self.timeouts = timeouts
        self._token = token

    def url(self, address: str, leaf: str) -> str:
        """Return the URL of the run's ``task`` or ``events`` at an address."""
        return f"{address}/runs/{self._run}/{leaf}"

    def headers(self) -> dict[str, str]:
        """Return the headers that authenticate the pod."""
        return {"authorization": f"Bearer {self._token()}"}

    def task(self, scope: Scope) -> Task:
        """Wait for the task of the pod's run. Raises TaskRefused."""
        addresses, backoff = cycle(self.addresses), self.backoff()
        address = next(addresses)
        while True:
            response = self._get(self.url(address, "task"), scope)
            if response is not None and response.status == 200:
                return read_task(response.body.decode())
            if response is not None and is_final(response.status):
                raise TaskRefused(response.status)
            if response is not None and response.status == 204:
                backoff = self.backoff()
            else:
                log("task_not_reached", address=address, status=response.status if response else None)
                address = next(addresses)
            scope.sleep(next(backoff))

    def warmup_hints(self, instance: str, scope: Scope) -> WarmupHints | None:
        """Wait for what the instance's tasks have in common; None: the agent API has no hints for this pod."""
        for pause in self.backoff():
            response = self._get(f"{self.addresses[0]}/instances/{instance}/prospect", scope)
            if response is not None and response.status == 200:
                hints: WarmupHints = json.loads(response.body)
                return hints
            if response is not None and is_final(response.status):
                break
            scope.sleep(pause)
        return None

    def claimed_task(self, instance: str, ttl: float, scope: Scope) -> Task:
        """Wait up to ``ttl`` seconds for a run of the instance that claims this pod, and return its task. Raises Unused.

        A replica that has answered 204 has bound this pod to no run. A replica whose answer was lost, or that could not build
        the task, may have bound it: the next request says so (``lost``), and its replica looks for such a run first.
        """
        started_at = answered_at = monotonic()
        url, lost, backoff = f"{self.addresses[0]}/instances/{instance}/task", False, self.backoff()
        while monotonic() - started_at < ttl and monotonic() - answered_at < self.timeouts.idle:
            response = self._get(f"{url}?lost=1" if lost else url, scope)
            if response is not None and response.status == 200:
                return self._bind(read_task(response.body.decode()))
            if response is not None and response.status in _UNWANTED:
                break
            lost = response is None or response.status != 204
            if not lost:
                answered_at, backoff = monotonic(), self.backoff()
            scope.sleep(next(backoff))
        raise Unused

    def release(self, seconds: float, scope: Scope) -> bool:
        """Give the run back, whose model was not asked yet, so that it starts in another pod. Return False if it is still this pod's.

        Only 409 says so. Another refusal means that the run is not this pod's any more; after ``seconds`` without an answer that
        says either, the run may have been given back.
        """
        limited = scope.within(seconds)
        try:
            for address, pause in zip(cycle(self.addresses), self.backoff(), strict=False):
                response = self._request("POST", self.url(address, "release"), limited)
                if response is not None and (response.status == 200 or is_final(response.status)):
                    return response.status != 409
                limited.sleep(pause)
        except DeadlineExceeded:
            scope.check()
        return True

    def backoff(self) -> Iterator[float]:
        """Yield pauses between attempts: doubling, and jittered so that a dead replica's pods do not all return at once."""
        pause = self.timeouts.first_backoff
        while True:
            yield pause * (0.5 + int.from_bytes(os.urandom(2), "big") / 131070)
            pause = min(2 * pause, self.timeouts.longest_backoff)

    def _bind(self, task: Task) -> Task:
        """Make this the client of the task's run, whose caller is connected to the replica that the task names."""
        self._run = task["run"]
        if surface := task.get("surface"):
            self.addresses = [surface, *self.addresses]
        return task

    def _get(self, url: str, scope: Scope) -> HttpResponse | None:
        return self._request("GET", url, scope)

    def _request(self, method: str, url: str, scope: Scope) -> HttpResponse | None:
        """Return the response; None without one within the time for one."""
        headers = self.headers() | ({"content-length": "0"} if method == "POST" else {})
        limited = scope.within(self.timeouts.task)
        try:
            with open_request(method, url, headers, limited, connect_timeout=self.timeouts.connect) as request:
                request.finish()
                return request.response(limited)
        except TransportError:
            return None
        except DeadlineExceeded:
            scope.check()
            return None


def is_final(status: int) -> bool:
    """Return true for a refusal that would be the same if the request were repeated."""
    return 400 <= status < 500 and status not in _TEMPORARY
