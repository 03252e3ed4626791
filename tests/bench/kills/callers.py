"""Callers of every kind, who insist on what they were promised."""

import asyncio
import json
import random
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx2
from tests.bench.kills.account import Object, Request, Runs, Told
from tests.e2e.conftest import Endpoint, agent_run

from sympozium_api.client import ApiError, ApiUnavailable, Client
from sympozium_api.resources import RUNS

CHAT, RESPONSES = "/v1/chat/completions", "/v1/responses"
INSIST_SECONDS = 600
"""For which a caller comes again."""
POLL_SECONDS = 0.4
ORDER = {"queued": 0, "in_progress": 1, "completed": 2, "failed": 2, "cancelled": 2, "incomplete": 2}


class LostPatience(Exception):
    """A caller came again for ten minutes."""


@dataclass
class Callers:
    """A number of callers, each with one request after the other."""

    endpoints: list[Endpoint]
    keys: dict[str, str]
    """API key of each instance."""
    client: Client
    runs: Runs
    random: random.Random
    requests: list[Request] = field(default_factory=list)

    async def call(self, until: float) -> None:
        """Send requests of all kinds until the time ``until`` (monotonic) has come."""
        kinds: list[Callable[[Request], Awaitable[None]]] = [
            self.keyed, self.keyed, self.streamed, self.streamed, self.left, self.background, self.background, self.applied,
        ]  # fmt: skip
        while time.monotonic() < until:
            kind = self.random.choice(kinds)
            request = Request(kind.__name__, secrets.token_hex(6))
            self.requests.append(request)
            try:
                await kind(request)
            except LostPatience as failure:
                request.faults.append(str(failure))
            await asyncio.sleep(self.random.uniform(0, 2))

    async def keyed(self, request: Request) -> None:
        """A whole answer by an Idempotency-Key; some time out and come again; later the same key gives the same answer."""
        request.has_key = True
        async with self._http(request) as http:
            body = self._body(request)
            if self.random.random() < 0.3:
                await self._times_out(http, request, CHAT, body)
            request.told.append(told := await self._insist(http, request, CHAT, body, _chat_text))
            await asyncio.sleep(self.random.uniform(0, 5))
            request.told.append(again := await self._insist(http, request, CHAT, body, _chat_text))
            if again != told:
                request.faults.append(f"the same key gave {told}, later {again}")

    async def streamed(self, request: Request) -> None:
        """A stream without a key, which is not repeated once it was accepted."""
        async with self._http(request) as http:
            while not await self._stream(http, request):
                await asyncio.sleep(1)

    async def left(self, request: Request) -> None:
        """A stream whose caller leaves after its first token."""
        request.may_cancel = True
        async with self._http(request) as http:
            while not await self._stream(http, request, leave=True):
                await asyncio.sleep(1)

    async def background(self, request: Request) -> None:
        """A background response, polled until it has ended; some are cancelled."""
        request.has_key = True
        body = {"model": self._script(), "input": request.nonce, "background": True}
        async with self._http(request) as http:
            run, response = await self._accepted(http, request, RESPONSES, body)
            path, status, cancels = f"{RESPONSES}/{response['id']}", response["status"], self.random.random() < 0.25
            deadline = time.monotonic() + INSIST_SECONDS
            while ORDER[status] < ORDER["completed"]:
                if time.monotonic() > deadline:
                    raise LostPatience(f"{path} stayed {status}")
                await asyncio.sleep(POLL_SECONDS)
                if cancels and self.random.random() < 0.3:
                    request.may_cancel = True
                    answer = await self._try(http, request, "POST", f"{path}/cancel")
                else:
                    answer = await self._try(http, request, "GET", path)
                if answer is None or answer.status_code in (429, 503):
                    continue
                if answer.status_code != 200:
                    request.faults.append(f"{path}: {answer.status_code} {answer.text[:200]}")
                    return
                response, before = answer.json(), status
                status = response["status"]
                if ORDER[status] < ORDER[before]:
                    request.faults.append(f"{path}: {status} after {before}")
        if status == "cancelled":
            request.may_cancel = True
        else:
            error = response.get("error") or {}
            request.told.append(
                Told(run, _response_text(response) if status == "completed" else None, error.get("code", ""))
            )

    async def applied(self, request: Request) -> None:
        """A run that its caller creates as an object."""
        name, deadline = f"applied-{request.nonce}", time.monotonic() + INSIST_SECONDS
        body = agent_run(name, task=request.nonce, model={"model": self._script()})
        while name not in self.runs.latest:
            request.tries += 1
            try:
                await self.client.create(RUNS, self.endpoints[0].namespace.name, body)
            except (ApiError, ApiUnavailable) as failure:
                request.refused[f"API server {getattr(failure, 'status', 'away')}"] += 1
            await asyncio.sleep(1)
        while (end := self.runs.ends.get(name)) is None:
            if time.monotonic() > deadline:
                raise LostPatience(f"run {name} has not ended")
            await asyncio.sleep(1)
        request.told.append(Told(name, end.get("result"), end.get("error", {}).get("type", "")))

    async def _insist(
        self, http: httpx2.AsyncClient, request: Request, path: str, body: Object, text: Callable[[Object], str]
    ) -> Told:
        """Come again with the same key until an end is told."""
        deadline = time.monotonic() + INSIST_SECONDS
        while time.monotonic() < deadline:
            answer = await self._try(http, request, "POST", path, body)
            if answer is None:
                await asyncio.sleep(1)
            elif answer.status_code == 200:
                return Told(answer.headers["x-sympozium-run"], text(answer.json()))
            elif failed := _failed(answer):
                return Told(answer.headers["x-sympozium-run"], None, failed)
            else:
                request.refused[_code(answer)] += 1
                await asyncio.sleep(float(answer.headers.get("retry-after", "1")))
        raise LostPatience(f"no end in {INSIST_SECONDS} s; refusals: {dict(request.refused)}")

    async def _accepted(
        self, http: httpx2.AsyncClient, request: Request, path: str, body: Object
    ) -> tuple[str, Object]:
        """Return the run's name and the body."""
        deadline = time.monotonic() + INSIST_SECONDS
        while time.monotonic() < deadline:
            answer = await self._try(http, request, "POST", path, body)
            if answer is not None and answer.status_code == 200:
                return answer.headers["x-sympozium-run"], answer.json()
            if answer is not None:
                request.refused[_code(answer)] += 1
            await asyncio.sleep(1)
        raise LostPatience(f"not accepted; refusals: {dict(request.refused)}")

    async def _stream(self, http: httpx2.AsyncClient, request: Request, *, leave: bool = False) -> bool:
        """Return false if the request was refused, and may come again."""
        request.tries += 1
        try:
            async with http.stream("POST", CHAT, json=self._body(request) | {"stream": True}) as answer:
                run = answer.headers.get("x-sympozium-run", "")
                if answer.status_code == 200:
                    await _read(answer, run, request, leave=leave)
                    return True
                await answer.aread()
                if failed := _failed(answer):
                    request.told.append(Told(run, None, failed))
                else:
                    request.refused[_code(answer)] += 1
                return bool(failed)
        except httpx2.TransportError:
            request.broken += 1
            return True  # whether it was accepted cannot be known without a key

    async def _times_out(self, http: httpx2.AsyncClient, request: Request, path: str, body: Object) -> None:
        request.tries += 1
        try:
            await http.post(path, json=body, timeout=self.random.uniform(0.1, 2))
        except httpx2.TransportError:
            request.broken += 1

    async def _try(
        self, http: httpx2.AsyncClient, request: Request, method: str, path: str, body: Object | None = None
    ) -> httpx2.Response | None:
        request.tries += 1
        try:
            return await http.request(method, path, json=body)
        except httpx2.TransportError:
            request.broken += 1
            return None

    @asynccontextmanager
    async def _http(self, request: Request) -> AsyncIterator[httpx2.AsyncClient]:
        endpoint = self.random.choice(self.endpoints)
        headers = {"Authorization": f"Bearer {self.keys[endpoint.instance]}"}
        if request.has_key:
            headers["Idempotency-Key"] = request.nonce
        async with httpx2.AsyncClient(base_url=endpoint.url, headers=headers, timeout=120) as http:
            yield http

    def _body(self, request: Request) -> Object:
        return {"model": self._script(), "messages": [{"role": "user", "content": request.nonce}]}

    def _script(self) -> str:
        return self.random.choice(SCRIPTS)


SCRIPTS = ("instant", "slow:20:100", "slow:60:100", "slow:10:1000", "cut", "status:400")
"""Models that the instances allow."""


async def _read(answer: httpx2.Response, run: str, request: Request, *, leave: bool) -> None:
    """Read a stream to its end, or its first token."""
    pieces = list[str]()
    async for line in answer.aiter_lines():
        if line == "data: [DONE]":
            return request.told.append(Told(run, "".join(pieces)))
        if line.startswith("data: {"):
            frame = json.loads(line[6:])
            if error := frame.get("error"):
                return request.told.append(Told(run, None, error["code"]))
            pieces += [choice["delta"].get("content") or "" for choice in frame["choices"]]
        if leave and any(pieces):
            return None
    return request.faults.append(f"the stream of {run} ended without an end")


def _failed(answer: httpx2.Response) -> str:
    """Return the type of a failed run, which is an answer; "" for what its caller comes again for: a refusal, a cancelled run."""
    failed = answer.headers.get("x-sympozium-error", "")
    return "" if failed == "cancelled" else failed


def _code(answer: httpx2.Response) -> str:
    try:
        return str(answer.json()["error"]["code"])
    except (ValueError, LookupError, TypeError):
        return f"{answer.status_code} {answer.text[:80]!r}"


def _chat_text(body: Any) -> str:
    return str(body["choices"][0]["message"]["content"])


def _response_text(body: Any) -> str:
    return "".join(part["text"] for item in body["output"] for part in item.get("content", ()))
