"""Client of the agent API: fetches the pod's task and says where and how the records of its run are delivered."""

import asyncio
import json
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from itertools import cycle
from time import monotonic
from typing import cast

from sympozium_agent.agent_settings import Timeouts
from sympozium_agent.log import log
from sympozium_agent.transport.http1 import HttpResponse, TransportError, open_request
from sympozium_api.agent_protocol import Task, WarmupHints, read_task

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

    An idle pod's client has no run (None) until ``claimed_task`` returns.
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

    async def task(self) -> Task:
        """Wait for the task of the pod's run. Raises TaskRefused."""
        addresses, backoff = cycle(self.addresses), self.backoff()
        address = next(addresses)
        while True:
            response = await self._get(self.url(address, "task"))
            if response is not None and response.status == 200:
                return read_task(response.body.decode())
            if response is not None and is_final(response.status):
                raise TaskRefused(response.status)
            if response is not None and response.status == 204:
                backoff = self.backoff()
            else:
                log("task_not_reached", address=address, status=response.status if response else None)
                address = next(addresses)
            await asyncio.sleep(next(backoff))

    async def warmup_hints(self, instance: str) -> WarmupHints | None:
        """Wait for what the instance's tasks have in common; None: the agent API has no hints for this pod."""
        for pause in self.backoff():
            response = await self._get(f"{self.addresses[0]}/instances/{instance}/prospect")
            if response is not None and response.status == 200:
                return cast(WarmupHints, json.loads(response.body))
            if response is not None and is_final(response.status):
                break
            await asyncio.sleep(pause)
        return None

    async def claimed_task(self, instance: str, ttl: float) -> Task:
        """Wait up to ``ttl`` seconds for a run of the instance that claims this pod, and return its task. Raises Unused.

        A replica that has answered 204 has bound this pod to no run. A replica whose answer was lost, or that could not build
        the task, may have bound it: the next request says so (``lost``), and its replica looks for such a run first.
        """
        started_at = answered_at = monotonic()
        url, lost, backoff = f"{self.addresses[0]}/instances/{instance}/task", False, self.backoff()
        while monotonic() - started_at < ttl and monotonic() - answered_at < self.timeouts.idle:
            response = await self._get(f"{url}?lost=1" if lost else url)
            if response is not None and response.status == 200:
                return self._bind(read_task(response.body.decode()))
            if response is not None and response.status in _UNWANTED:
                break
            lost = response is None or response.status != 204
            if not lost:
                answered_at, backoff = monotonic(), self.backoff()
            await asyncio.sleep(next(backoff))
        raise Unused

    async def release(self, seconds: float) -> bool:
        """Give the run back, whose model was not asked yet, so that it starts in another pod. Return False if it is still this pod's.

        Only 409 says so. Another refusal means that the run is not this pod's any more; after ``seconds`` without an answer that
        says either, the run may have been given back.
        """
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                for address, pause in zip(cycle(self.addresses), self.backoff(), strict=False):
                    response = await self._request("POST", self.url(address, "release"))
                    if response is not None and (response.status == 200 or is_final(response.status)):
                        return response.status != 409
                    await asyncio.sleep(pause)
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

    async def _get(self, url: str) -> HttpResponse | None:
        return await self._request("GET", url)

    async def _request(self, method: str, url: str) -> HttpResponse | None:
        headers = self.headers() | ({"content-length": "0"} if method == "POST" else {})
        try:
            async with (
                asyncio.timeout(self.timeouts.task),
                open_request(method, url, headers, connect_timeout=self.timeouts.connect) as request,
            ):
                request.finish()
                return await request.response()
        except (TransportError, TimeoutError):
            return None


def is_final(status: int) -> bool:
    """Return true for a refusal that would be the same if the request were repeated."""
    return 400 <= status < 500 and status not in _TEMPORARY
