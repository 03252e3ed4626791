"""Streamed requests and what their caller sees, in seconds."""

import asyncio
import json
import time
from dataclasses import dataclass, field
from typing import Any

import httpx2

BODY: dict[str, Any] = {"messages": [{"role": "user", "content": "hello"}], "stream": True}


@dataclass
class Stream:
    """One answer, as seen by its caller."""

    run: str = ""
    sent_at: float = 0
    """Unix time."""
    first_token: float = 0
    total: float = 0
    after_last_token: float = 0
    chunk_delays: list[float] = field(default_factory=list)
    """From the model's sending of a token to its receipt here."""


@dataclass(frozen=True)
class Burst:
    """Many requests at once."""

    streams: list[Stream]
    seconds: float


class Requests:
    """A caller of one endpoint, whose model answers with the time at which it sent each token."""

    def __init__(self, url: str, key: str) -> None:
        self._url = f"{url}/v1/chat/completions"
        self._headers = {"Authorization": f"Bearer {key}"}

    async def stream(self) -> Stream:
        """One request; raises unless it ends well."""
        async with httpx2.AsyncClient(timeout=120) as http:  # making one costs 20 ms of TLS set-up that is not ours
            return await self._stream(http)

    async def _stream(self, http: httpx2.AsyncClient) -> Stream:
        seen, began, last = Stream(sent_at=time.time()), time.perf_counter(), 0.0
        async with http.stream("POST", self._url, json=BODY, headers=self._headers) as response:
            response.raise_for_status()
            seen.run = response.headers["x-sympozium-run"]
            async for line in response.aiter_lines():
                now = time.perf_counter()
                if line == "data: [DONE]":
                    seen.total, seen.after_last_token = now - began, now - last
                    return seen
                if text := _content(line):
                    seen.first_token = seen.first_token or now - began
                    seen.chunk_delays.append(time.time() - float(text) / 1000)
                    last = now
        raise AssertionError("the stream ended without [DONE]")

    async def burst(self, count: int, *, concurrency: int) -> Burst:
        """``count`` requests by ``concurrency`` callers; those that fail are left out."""
        began = time.perf_counter()
        places = asyncio.Semaphore(concurrency)

        async def one() -> Stream | None:
            async with places:
                try:
                    return await self.stream()
                except (httpx2.HTTPError, AssertionError):
                    return None

        found = await asyncio.gather(*(one() for _ in range(count)))
        return Burst([stream for stream in found if stream], time.perf_counter() - began)


def _content(line: str) -> str | None:
    if not line.startswith("data: {"):
        return None
    choices = json.loads(line[6:])["choices"]
    found: str | None = choices[0]["delta"].get("content") if choices else None
    return found
