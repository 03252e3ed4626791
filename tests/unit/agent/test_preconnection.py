"""A connection to the model that an idle pod opened before its run came.

The server's side of a handshake ends before the agent's, so tests wait for the connections that the agent holds, not for those that
the model has seen.
"""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import cast

import pytest
from tests.fakes import agent_thread
from tests.fakes.agent_thread import in_thread
from tests.fakes.certificate import local, server_side
from tests.fakes.closing_server import closing_server
from tests.fakes.model import TOKENS, Model
from tests.unit.agent.conftest import QUICK, Pod, task_for
from tests.unit.agent.surface import Reply, Surface, replica

from sympozium_agent.transport.connection import Connection, connect
from sympozium_agent.transport.errors import TransportError
from sympozium_agent.transport.preconnected import Preconnection
from sympozium_agent.transport.url import parse_url
from sympozium_agent.waiting import Scope
from sympozium_api.values import replace


class Door:
    """A model behind TLS, or without it, that counts who comes in.

    The first ``hasty`` ones find it shut again, at once or as they begin to speak.
    """

    def __init__(self, *, hasty: int = 0, until_spoken_to: bool = False) -> None:
        self.model = Model()
        self.entered = 0
        self._hasty = hasty
        self._until_spoken_to = until_spoken_to

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.entered += 1
        if self.entered > self._hasty:
            await self.model.serve(reader, writer)
            return
        if self._until_spoken_to:
            await reader.read(1)
        writer.close()

    @asynccontextmanager
    async def open(self, file: Path | None) -> AsyncIterator[None]:
        tls = server_side(file) if file else None
        async with closing_server(self.serve, tls=tls) as port:
            self.model.url = f"{'https' if file else 'http'}://127.0.0.1:{port}/v1"
            yield


class Held:
    """Counter of the connections that idle pods hold, or have held."""

    def __init__(self) -> None:
        self.count = 0

    async def until(self, count: int) -> None:
        async with asyncio.timeout(60):
            while self.count < count:
                await asyncio.sleep(0.001)


@pytest.fixture
def held(monkeypatch: pytest.MonkeyPatch) -> Held:
    counter, hold = Held(), Preconnection._hold

    def counted(preconnection: Preconnection, connection: Connection) -> None:
        hold(preconnection, connection)
        counter.count += 1

    monkeypatch.setattr(Preconnection, "_hold", counted)
    return counter


@pytest.fixture
def trusted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    file = local(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(file))
    return file


async def finished(pod: Pod, door: Door, held: Held, file: Path, *, after: int) -> tuple[Surface, int]:
    """The surface and the exit code of an idle pod whose run came after so many connections."""
    async with door.open(file), replica(task_for(door.model), tasks=[Reply(status=204)]) as surface:
        surface.prospect = {"baseURL": door.model.url, "env": {}}
        settings = replace(pod.settings(surface.url), run=None, instance="demo", idle_ttl=60)
        running = agent_thread.started(settings, pod.stop, environ=pod.environ, timeouts=QUICK)
        await held.until(after)
        surface.tasks = [Reply()]
        async with asyncio.timeout(60):
            code = await running
    return surface, code


async def answered(pod: Pod, door: Door, held: Held, file: Path, *, after: int) -> int:
    """How many connections an idle pod made of which the run came after so many."""
    surface, code = await finished(pod, door, held, file, after=after)
    assert code == 0
    assert surface.end["choices"][0]["message"]["content"] == "".join(TOKENS)
    return door.entered


async def test_the_tls_handshake_is_done_before_the_run_comes(pod: Pod, held: Held, trusted: Path) -> None:
    assert await answered(pod, Door(), held, trusted, after=1) == 1


async def test_a_connection_that_the_model_closed_is_opened_again(
    pod: Pod, held: Held, trusted: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sympozium_agent.transport.preconnected._CHECK_SECONDS", 0.01)
    assert await answered(pod, Door(hasty=1), held, trusted, after=2) == 2


async def test_a_model_that_closes_the_connection_after_it_was_asked_is_asked_again(
    pod: Pod, held: Held, trusted: Path
) -> None:
    door = Door(hasty=1, until_spoken_to=True)
    surface, code = await finished(pod, door, held, trusted, after=1)
    assert (code, door.entered) == (0, 2)
    assert ["error" in step for step in surface.end["steps"]] == [True, False]


async def test_a_connection_whose_end_was_not_read_yet_is_known_to_be_closed() -> None:
    here, there = socket.socketpair()
    here.settimeout(0)
    connection = Connection(here)
    assert not connection.is_closed
    there.close()
    assert connection.is_closed
    connection.close()


async def test_a_model_without_tls_is_not_connected_in_advance() -> None:
    door = Door()
    async with door.open(None):
        await in_thread(lambda scope: Preconnection().maintain(door.model.url, scope, connect))
    assert door.entered == 0


async def test_a_preconnection_to_another_host_is_not_used(held: Held, trusted: Path) -> None:
    door, preconnection = Door(), Preconnection()
    async with door.open(trusted):
        keeping = in_thread(lambda scope: preconnection.maintain(door.model.url, scope, connect))
        await held.until(1)
        assert preconnection.acquire(parse_url("https://another.example/v1/chat/completions")) is None
        assert preconnection.acquire(parse_url(f"{door.model.url}/chat/completions")) is None
        keeping.cancel()


class Pauses:
    """A scope whose sleeps take no time, and end the preconnection after so many."""

    def __init__(self, preconnection: Preconnection, *, most: int) -> None:
        self.seconds: list[float] = []
        self._preconnection = preconnection
        self._most = most

    def sleep(self, seconds: float) -> None:
        self.seconds.append(seconds)
        if len(self.seconds) == self._most:
            self._preconnection.close()


def test_after_a_success_the_connection_is_checked_as_often_as_before(monkeypatch: pytest.MonkeyPatch) -> None:
    preconnection = Preconnection()
    outcomes: list[TransportError | FreshConnection] = [TransportError(""), TransportError(""), FreshConnection()]
    attempts, pauses = iter(outcomes), Pauses(preconnection, most=3)
    preconnection.maintain(
        "https://model.example.com/v1", cast(Scope, pauses), lambda *_: cast(Connection, raised_or(next(attempts)))
    )
    assert pauses.seconds == [10, 20, 5]


class FreshConnection:
    is_closed = False

    def close(self) -> None:
        self.is_closed = True


def raised_or(outcome: TransportError | FreshConnection) -> FreshConnection:
    if isinstance(outcome, TransportError):
        raise outcome
    return outcome
