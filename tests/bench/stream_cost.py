"""Processor time of a streamed request: the web-proxy alone, beside a bare FastAPI route that streams the same bytes.

Both are processes as an image starts them, and take turns. The web-proxy stands in front of a stand-in for API server and pods
(``tests.fakes.replica``), so its time is all that it does for a request: the route, the run's creation, the pod's two requests, the
watch. ``python -m tests.bench.stream_cost`` prints both and their ratio.
"""

import argparse
import asyncio
import statistics
import tempfile
from contextlib import AsyncExitStack, aclosing
from pathlib import Path

from tests.bench.bare_route import bare_route
from tests.bench.overhead import Caller
from tests.bench.report import Figures
from tests.fakes.replica import running

ROUNDS = 8
PER_ROUND = 100
PER_SECOND = 50


async def measure(*, rounds: int = ROUNDS, per_round: int = PER_ROUND, per_second: int = PER_SECOND) -> Figures:
    """Return milliseconds of processor time per request of both, the median of the rounds, and the ratio of the two."""
    costs: dict[str, list[float]] = {"web_proxy": [], "bare_route": []}
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        processes = {
            "web_proxy": stack.enter_context(running(folder)),
            "bare_route": stack.enter_context(bare_route(folder)),
        }
        callers: dict[str, Caller] = {}
        for name, process in processes.items():
            callers[name] = await stack.enter_async_context(aclosing(Caller(process.url)))
            await callers[name].load(per_round, per_second)  # caches, connections
        for _ in range(rounds):
            for name, process in processes.items():
                used = process.cpu_seconds
                await callers[name].load(per_round, per_second)
                costs[name].append(1000 * (process.cpu_seconds - used) / per_round)
    medians = {name: round(statistics.median(values), 2) for name, values in costs.items()}
    ratio = medians["web_proxy"] / medians["bare_route"]
    return {"stream_cpu": {"n": rounds * per_round, **medians, "ratio": round(ratio, 2)}}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Processor time of a streamed request, beside a bare FastAPI route.")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--requests", type=int, default=PER_ROUND, help="requests of each round")
    parser.add_argument("--rate", type=int, default=PER_SECOND, help="requests per second")
    given = parser.parse_args()
    print(asyncio.run(measure(rounds=given.rounds, per_round=given.requests, per_second=given.rate)))  # noqa: T201
