"""Processor time of a streamed request: the web-proxy alone, beside a bare FastAPI route that streams the same bytes.

Both are processes as an image starts them, and take turns. The web-proxy stands in front of a stand-in for API server and pods
(``tests.fakes.replica``), so its time is all that it does for a request: the route, the run's creation, the pod's two requests, the
watch. A third process has the same exchanges and does nothing else (``tests.bench.bare_exchanges``).
``python -m tests.bench.stream_cost`` prints all three and their ratios to the bare route.
"""

import argparse
import asyncio
import statistics
import tempfile
from collections.abc import Iterator
from contextlib import AsyncExitStack, aclosing, contextmanager
from pathlib import Path

from tests.bench.bare_route import bare_route
from tests.bench.overhead import Caller
from tests.bench.report import Figures
from tests.fakes.replica import Process, api_server, free_ports, running, started_process

ROUNDS = 8
PER_ROUND = 100
PER_SECOND = 50


async def measure(*, rounds: int = ROUNDS, per_round: int = PER_ROUND, per_second: int = PER_SECOND) -> Figures:
    """Return milliseconds of processor time per request of each, the median of the rounds, and the ratios to the bare route."""
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        processes = {
            "web_proxy": stack.enter_context(running(folder)),
            "bare_route": stack.enter_context(bare_route(folder)),
            "bare_exchanges": stack.enter_context(bare_exchanges(folder)),
        }
        costs: dict[str, list[float]] = {name: [] for name in processes}
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
    ratio, exchanges = (medians[name] / medians["bare_route"] for name in ("web_proxy", "bare_exchanges"))
    ratios = {"ratio": round(ratio, 2), "ratio_of_exchanges": round(exchanges, 2)}
    return {"stream_cpu": {"n": rounds * per_round, **medians, **ratios}}


@contextmanager
def bare_exchanges(folder: Path) -> Iterator[Process]:
    """Run the bare exchanges, with a stand-in of their own, until the context ends."""
    own = folder / "exchanges"
    own.mkdir()
    ports = free_ports()[:2]
    with (
        api_server(own),
        started_process(
            f"http://127.0.0.1:{ports[0]}",
            "tests.bench.bare_exchanges",
            *map(str, ports),
            log=own / "bare.log",
            environ={"KUBECONFIG": str(own / "kubeconfig")},
        ) as found,
    ):
        yield found


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Processor time of a streamed request, beside a bare FastAPI route.")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--requests", type=int, default=PER_ROUND, help="requests of each round")
    parser.add_argument("--rate", type=int, default=PER_SECOND, help="requests per second")
    given = parser.parse_args()
    print(asyncio.run(measure(rounds=given.rounds, per_round=given.requests, per_second=given.rate)))  # noqa: T201
