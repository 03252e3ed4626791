"""The index of runs over HTTP: watches that break, end and expire, and lists whose pages do, lose nothing and bring nothing back."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import suppress

import pytest
from tests.fakes.api_server import ApiServer, listening
from tests.fakes.clock import FakeClock
from tests.fakes.kubernetes import FakeKubernetes

from sympozium_api import names
from sympozium_api.client import ApiConnection, Client
from sympozium_api.resources import RUNS, Object
from sympozium_archive.database import Database
from sympozium_archive.run_queries import RunFilter, RunQueries
from sympozium_console.console_metrics import ConsoleMetrics
from sympozium_console.run_index.index_state import IndexState
from sympozium_console.run_index.run_index import RunIndex


def run(name: str, phase: str = "Running") -> Object:
    return {
        "apiVersion": names.API_VERSION,
        "kind": RUNS.kind,
        "metadata": {"name": name, "namespace": "default"},
        "spec": {"agentRef": "demo", "task": "x"},
        "status": {"phase": phase},
    }


@pytest.fixture
async def kubernetes(database: Database) -> AsyncIterator[FakeKubernetes]:
    """An API server of 300 runs, which an index follows."""
    cluster, clock = FakeKubernetes(), FakeClock()
    for number in range(300):
        cluster.put(run(f"run-{number:03}"))
    async with (
        listening(ApiServer(cluster).app()) as url,
        Client.connect(ApiConnection(url, ssl=False)) as client,
    ):
        state = IndexState(database, clock)
        metrics = ConsoleMetrics()
        index = RunIndex(client=client, database=database, clock=clock, metrics=metrics, state=state, keeps_gone=True)
        following = asyncio.create_task(index.run())
        await is_followed(database, cluster)
        yield cluster
        following.cancel()
        with suppress(asyncio.CancelledError):
            await following


async def is_followed(database: Database, cluster: FakeKubernetes) -> None:
    """Wait until the table has the runs of the API server in their phases, and the index watches them."""

    async with asyncio.timeout(30):
        while not cluster.watches_open(RUNS) or await indexed(database) != stored(cluster):
            await asyncio.sleep(0.02)


async def indexed(database: Database) -> dict[str, str | None]:
    page = await RunQueries(database).newest(RunFilter(), limit=1000)
    return {row.name: row.phase for row in page.rows}


def stored(cluster: FakeKubernetes) -> dict[str, str | None]:
    return {name: cluster.object(RUNS, name, "default")["status"]["phase"] for name in cluster.names(RUNS)}


def break_in_the_middle_of_a_line(cluster: FakeKubernetes) -> None:
    for watch in cluster._watches:
        watch.response.lines.put_nowait(b'{"type":"MODIFIED","object":{"kin')
        watch.response.lines.put_nowait(None)
    cluster._watches.clear()


def end_and_forget(cluster: FakeKubernetes) -> None:
    """The watch ends, and cannot be resumed: the API server answers 410."""
    cluster.end_watches()
    cluster._watches.clear()
    cluster.forget()


def expire_twice(cluster: FakeKubernetes) -> None:
    """The watch expires, and so do the pages of the list that follows."""
    cluster.meanwhile("list", RUNS, lambda: cluster.meanwhile("list", RUNS, lambda: void(cluster.forget())))
    cluster.expire_watches()


def void(_: object) -> None:
    """Return nothing."""


@pytest.mark.parametrize(
    "disturb",
    [
        FakeKubernetes.end_watches,
        FakeKubernetes.expire_watches,
        break_in_the_middle_of_a_line,
        end_and_forget,
        expire_twice,
    ],
)
async def test_what_happens_while_a_watch_is_gone_is_in_the_table(
    database: Database, kubernetes: FakeKubernetes, disturb: Callable[[FakeKubernetes], None]
) -> None:
    for round_ in range(2):
        disturb(kubernetes)
        kubernetes.put(run(f"run-{round_:03}", "Succeeded"))
        kubernetes.put(run(f"new-{round_}"))
        for name in (f"run-{round_ + 10:03}", f"run-{299 - round_}"):
            kubernetes.remove(RUNS, name)
        await is_followed(database, kubernetes)
    history = await RunQueries(database).history(RunFilter(), limit=1000, offset=0)
    assert len(history) == 302
    assert {row.name for row in history if row.deleted_at} == {"run-010", "run-011", "run-298", "run-299"}
