"""The short form of the benchmark, which CI runs: the ratios alone, of few samples.

``python -m tests.bench.short --times 5`` prints them as often as asked, from which the bounds of ``tests/e2e/test_bench.py`` come. Needs
a cluster, and ``$SYMPOZIUM_EXEC`` before it.
"""

import argparse
import asyncio
import logging
import secrets
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from tests.bench import stream_cost
from tests.bench.__main__ import agent_image, prepare
from tests.bench.barejob import BareJobs
from tests.bench.report import spread
from tests.bench.requests import Requests
from tests.e2e.conftest import Namespace

log = logging.getLogger(__name__)

SAMPLES = 5
BURST, CONCURRENCY = 10, 10


@contextmanager
def namespace() -> Iterator[Namespace]:
    """Make a namespace without Pod Security, because the bare Jobs are not confined."""
    found = Namespace(f"bench-{secrets.token_hex(2)}")
    found.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": found.name}})
    try:
        yield found
    finally:
        found.delete("namespace", found.name, "--wait=false")


async def of_a_job(place: Namespace) -> dict[str, float]:
    """Return what runs take beside Jobs with a token volume: ``first_token``, p50 by p50, and ``rate``, per second by per second.

    Raises AssertionError if a request of the burst is lost.
    """
    image = agent_image()
    endpoint = await asyncio.to_thread(prepare, place, image)
    requests, jobs = Requests(endpoint.url, endpoint.key), BareJobs(place, image, token=True)
    await requests.burst(2, concurrency=1)  # the first of anything is slower
    await jobs.first_line()
    runs, lines = [], []
    for _ in range(SAMPLES):
        runs.append((await requests.stream()).first_token)
        lines.append(await jobs.first_line())
    burst = await requests.burst(BURST, concurrency=CONCURRENCY)
    made, seconds = await jobs.burst(BURST, concurrency=CONCURRENCY)
    assert len(burst.streams) == BURST
    return {
        "first_token": spread(runs)["p50"] / spread(lines)["p50"],
        "rate": (len(burst.streams) / burst.seconds) / (len(made) / seconds),
    }


async def of_a_route() -> float:
    """Return the processor time of a streamed request as a multiple of a bare route's."""
    figures = await stream_cost.measure(rounds=3, per_round=60)
    ratio: float = figures["stream_cpu"]["ratio"]
    return ratio


def main() -> None:
    """Print the ratios of each run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=5)
    arguments = parser.parse_args()
    logging.basicConfig(format="%(message)s", level=logging.WARNING, stream=sys.stdout)
    log.setLevel(logging.INFO)
    for _ in range(arguments.times):
        with namespace() as place:
            job = asyncio.run(of_a_job(place))
        row = (job["first_token"], job["rate"], asyncio.run(of_a_route()))
        log.info("first token %.2f of a Job's, rate %.2f of Jobs', streamed request %.1f of a route's", *row)


if __name__ == "__main__":
    main()
