"""The benchmark's short form: a run costs about what a bare Job with a volume costs, and a request about what the last ones did."""

import asyncio
import secrets
from collections.abc import Iterator

import pytest
from tests.bench import stream_cost
from tests.bench.__main__ import agent_image, prepare
from tests.bench.barejob import BareJobs
from tests.bench.report import spread
from tests.bench.requests import Requests
from tests.e2e.conftest import Namespace

pytestmark = pytest.mark.measures

SAMPLES = 5
BURST = 10
MOST_OF_A_JOB = 2.5
"""A cold run's first token as a multiple of a bare Job's with a token volume; the goal of `make bench` is 1.10, on a quiet machine."""
LEAST_OF_JOBS = 0.4
"""Runs per second as a multiple of such Jobs per second, at concurrency 10; the goal is 0.92."""
MOST_OF_A_ROUTE = 15.0
"""Processor time of a streamed request as a multiple of a bare route's; 6.7 to 7.4 with other work on the machine."""


@pytest.fixture
def place() -> Iterator[Namespace]:
    """A namespace without Pod Security, because the bare Jobs are not confined."""
    found = Namespace(f"bench-{secrets.token_hex(2)}")
    found.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": found.name}})
    yield found
    found.delete("namespace", found.name, "--wait=false")


async def test_runs_cost_about_what_bare_jobs_cost(place: Namespace) -> None:
    image = agent_image()
    endpoint = await asyncio.to_thread(prepare, place, image)
    requests, jobs = Requests(endpoint.url, endpoint.key), BareJobs(place, image, token=True)
    await requests.burst(2, concurrency=1)
    await jobs.first_line()
    runs, lines = [], []
    for _ in range(SAMPLES):
        runs.append((await requests.stream()).first_token)
        lines.append(await jobs.first_line())
    assert spread(runs)["p50"] < MOST_OF_A_JOB * spread(lines)["p50"]
    burst = await requests.burst(BURST, concurrency=10)
    made, seconds = await jobs.burst(BURST, concurrency=10)
    assert len(burst.streams) == BURST
    assert len(burst.streams) / burst.seconds > LEAST_OF_JOBS * len(made) / seconds


async def test_a_streamed_request_costs_a_known_multiple_of_a_bare_route() -> None:
    figures = await stream_cost.measure(rounds=3, per_round=60)
    assert figures["stream_cpu"]["ratio"] < MOST_OF_A_ROUTE
