"""Writes that nobody waits for: repeated as long as they can help, and reported when they are refused."""

import asyncio
from collections.abc import Iterator

import pytest
from prometheus_client import CollectorRegistry, Counter
from structlog.testing import capture_logs
from tests.fakes.kubernetes import api_error

from sympozium_api.client import ApiUnavailable
from sympozium_runs import background_writes
from sympozium_runs.background_writes import BackgroundWrites

RUN = ("default", "r1")
FORBIDDEN = api_error(403, "Forbidden", "the run says: secret")


class World:
    """A run, and the API server's responses to successive writes; the last response holds for all others."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.open_attempts = 1000
        """Attempts upon which the run ends."""
        refused = Counter("refused", "Refused writes.", ["write"], registry=self.registry)
        self.writes = BackgroundWrites(lambda _: self.attempts < self.open_attempts, refused)
        self.attempts = 0
        self.responses: list[Exception | None] = [None]

    async def write(self) -> None:
        response = self.responses[min(self.attempts, len(self.responses) - 1)]
        self.attempts += 1
        if response:
            raise response

    async def retry(self) -> None:
        async with asyncio.timeout(60):
            await self.writes.retry(RUN, "cancel", self.write)

    @property
    def refused(self) -> float | None:
        return self.registry.get_sample_value("refused_total", {"write": "cancel"})


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    monkeypatch.setattr(background_writes, "_FIRST_BACKOFF", 0.001)
    monkeypatch.setattr(background_writes, "_SURE_SECONDS", 0)
    return World()


@pytest.fixture
def logged() -> Iterator[list[dict[str, object]]]:
    with capture_logs() as lines:
        yield lines  # type: ignore[misc]


async def test_a_write_is_repeated_until_the_api_server_takes_it(world: World) -> None:
    world.responses = [ApiUnavailable("away"), api_error(409, "Conflict"), None]
    await world.retry()
    assert (world.attempts, world.refused) == (3, None)


async def test_a_write_without_permission_is_counted_and_logged_once_and_repeated_while_the_run_is_open(
    world: World, logged: list[dict[str, object]]
) -> None:
    world.responses = [FORBIDDEN] * 4 + [None]
    await world.retry()
    assert (world.attempts, world.refused) == (5, 1)
    assert [(line["log_level"], line["run"], line["write"], line["reason"]) for line in logged] == [
        ("error", "r1", "cancel", "Forbidden")
    ]
    assert "secret" not in str(logged)


async def test_a_write_that_can_never_be_taken_is_counted_and_not_repeated(world: World) -> None:
    world.responses = [api_error(422, "Invalid")]
    await world.retry()
    assert (world.attempts, world.refused) == (1, 1)


@pytest.mark.parametrize("response", [ApiUnavailable("away"), FORBIDDEN])
async def test_a_write_of_an_ended_run_is_not_repeated_without_end(
    world: World, response: Exception, logged: list[dict[str, object]]
) -> None:
    world.responses, world.open_attempts = [response], 3
    await world.retry()
    assert world.attempts == 3
    assert len(logged) == 1


async def test_a_write_is_repeated_while_its_runs_creation_may_be_on_its_way(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(background_writes, "_SURE_SECONDS", 60)
    world.responses, world.open_attempts = [ApiUnavailable("away")] * 3 + [None], 0
    await world.retry()
    assert world.attempts == 4


async def test_a_shutdown_waits_for_the_writes_under_way_but_not_for_ever() -> None:
    world, written = World(), asyncio.Event()

    async def slow() -> None:
        await asyncio.sleep(0.05)
        written.set()

    world.writes.spawn(slow())
    await world.writes.finish(60)
    assert written.is_set()

    world.responses = [ApiUnavailable("away")]
    world.writes.spawn(world.retry())
    async with asyncio.timeout(60):
        await world.writes.finish(0.05)
