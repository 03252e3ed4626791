"""``load``: callers that send one request after the other for some seconds, and the figures of their answers."""

import asyncio
import math
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sympozium_platform.operators.platform_client import NO_ANSWER, Answer, PlatformClient


@dataclass(frozen=True)
class LoadRequest:
    """The request that every caller repeats."""

    method: str
    path: str
    body: Any = None

    @classmethod
    def of(cls, agent_id: str | None) -> "LoadRequest":
        """Return a run of an agent; without one the list of agents."""
        if agent_id is None:
            return cls("GET", "/agents?limit=50")
        return cls("POST", "/runs", {"agent_id": agent_id, "input_message": "Say: ready"})

    def __str__(self) -> str:
        """Return the method and path."""
        return f"{self.method} {self.path}"


@dataclass(frozen=True)
class LoadFigures:
    """The figures of one load."""

    answers: Sequence[Answer]
    seconds: float

    @property
    def errors(self) -> Counter[int]:
        """Count of the answers that are not 2xx, by status."""
        return Counter(answer.status for answer in self.answers if not _is_success(answer))

    def lines(self) -> Iterator[str]:
        """Yield the figures as lines. Times are those of successful requests."""
        times = sorted(answer.seconds for answer in self.answers if _is_success(answer))
        yield f"rate    {len(times) / self.seconds:8.1f} successful requests/s ({len(times)} in {self.seconds:.1f} s)"
        for share in (50, 95):
            yield f"p{share}     {f'{1000 * _percentile(times, share):8.1f} ms' if times else '       -'}"
        yield f"errors  {self.errors.total():8}"
        for status, count in sorted(self.errors.items()):
            example = next(answer for answer in self.answers if answer.status == status)
            yield f"  {'no answer' if status == NO_ANSWER else status}: {count}, such as: {example.message}"


async def load(client: PlatformClient, request: LoadRequest, callers: int, seconds: float) -> LoadFigures:
    """Return the figures of a load. Requests that are under way at the end are waited for, and count."""
    answers = list[Answer]()
    began = time.perf_counter()

    async def call() -> None:
        while time.perf_counter() < began + seconds:
            answers.append(await client.request(request.method, request.path, request.body))

    async with asyncio.TaskGroup() as group:
        for _ in range(callers):
            group.create_task(call())
    return LoadFigures(answers, time.perf_counter() - began)


def _is_success(answer: Answer) -> bool:
    return 200 <= answer.status < 300


def _percentile(ordered: Sequence[float], share: int) -> float:
    """Return a percentile by the nearest rank."""
    return ordered[max(0, math.ceil(len(ordered) * share / 100) - 1)]
