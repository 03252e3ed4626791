"""The benchmark's short form: a run costs about what a bare Job with a volume costs, and a request about what the last ones did."""

import pytest
from tests.bench import short

pytestmark = pytest.mark.measures

MOST_OF_A_JOB = 2.5
"""A cold run's first token as a multiple of a bare Job's with a token volume; the goal of `make bench` is 1.10, on a quiet machine."""
LEAST_OF_JOBS = 0.4
"""Runs per second as a multiple of such Jobs per second, at concurrency 10; the goal is 0.92."""
MOST_OF_A_ROUTE = 15.0
"""Processor time of a streamed request as a multiple of a bare route's; 6.7 to 7.4 with other work on the machine."""


async def test_runs_cost_about_what_bare_jobs_cost() -> None:
    with short.namespace() as place:
        ratios = await short.of_a_job(place)
    assert ratios["first_token"] < MOST_OF_A_JOB
    assert ratios["rate"] > LEAST_OF_JOBS


async def test_a_streamed_request_costs_a_known_multiple_of_a_bare_route() -> None:
    assert await short.of_a_route() < MOST_OF_A_ROUTE
