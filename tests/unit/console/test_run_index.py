"""The index of runs: the table follows the API server, whatever breaks off between them."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from tests.fakes.clock import FakeClock
from tests.fakes.kubernetes import FakeKubernetes, api_error

from sympozium_api import names
from sympozium_api.client import ApiError, ResourceType
from sympozium_api.client.collection import Collection, Reading
from sympozium_api.resources import RUNS, Object
from sympozium_archive.database import Database
from sympozium_archive.run_queries import RunFilter, RunQueries
from sympozium_archive.run_rows import RunRow, RunRows
from sympozium_archive.unavailable import DatabaseUnavailable
from sympozium_console.console_metrics import ConsoleMetrics
from sympozium_console.run_index import run_index
from sympozium_console.run_index.index_state import IndexState
from sympozium_console.run_index.pending_rows import PendingRows
from sympozium_console.run_index.run_index import RunIndex

QUESTION = "a question that nobody indexes"


def run(name: str, phase: str = "", *, namespace: str = "default", **spec: Any) -> Object:
    status = {"status": {"phase": phase, "result": QUESTION}} if phase else {}
    own = {"agentRef": "demo", "task": QUESTION} | spec
    return {
        "apiVersion": names.API_VERSION,
        "kind": "AgentRun",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {name: value for name, value in own.items() if value is not None},
        **status,
    }


@pytest.fixture
async def scratch(tmp_path: Path) -> AsyncIterator[Database]:
    database = await Database.open_scratch(str(tmp_path / "index.db"))
    yield database
    await database.close()


def index_of(kubernetes: FakeKubernetes, database: Database, **more: Any) -> RunIndex:
    clock = FakeClock()
    state = IndexState(database, clock)
    return RunIndex(client=kubernetes, database=database, clock=clock, metrics=ConsoleMetrics(), state=state, **more)


@asynccontextmanager
async def running(index: RunIndex) -> AsyncIterator[asyncio.Task[None]]:
    task = asyncio.create_task(index.run())
    try:
        yield task
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def until(condition: Callable[[], Any], within: float = 60) -> Any:
    """Wait for a condition, which may be a coroutine function."""
    async with asyncio.timeout(within):
        while True:
            found = condition()
            if asyncio.iscoroutine(found):
                found = await found
            if found:
                return found
            await asyncio.sleep(0.01)


async def phases(database: Database) -> dict[str, str | None]:
    """The runs that the table says are in Kubernetes, by name."""
    page = await RunQueries(database).newest(RunFilter(), limit=1000)
    return {row.name: row.phase for row in page.rows}


async def is_whole(index: RunIndex) -> bool:
    return await index.state.unread() is None


async def test_the_table_has_every_run_and_then_every_change(scratch: Database) -> None:
    kubernetes = FakeKubernetes()
    for number in range(300):
        kubernetes.put(run(f"run-{number:03}"))
    kubernetes.put(run("demo-web-endpoint", mode="server", task=None))
    index = index_of(kubernetes, scratch)
    async with running(index):
        await until(lambda: is_whole(index))
        assert await phases(scratch) == {f"run-{number:03}": "Pending" for number in range(300)}
        kubernetes.put(run("run-000", "Running"))
        kubernetes.put(run("new", "Succeeded"))
        kubernetes.remove(RUNS, "run-001")
        await until(lambda: _has(scratch, {"run-000": "Running", "new": "Succeeded"}, absent="run-001"))
    assert scratch.settings.url.database
    files = Path(scratch.settings.url.database).parent.glob("index.db*")
    assert not any(QUESTION.encode() in file.read_bytes() for file in files)


async def _has(database: Database, expected: dict[str, str], absent: str = "") -> bool:
    found = await phases(database)
    return expected.items() <= found.items() and absent not in found


async def test_a_run_that_vanished_while_nobody_watched_is_gone(scratch: Database) -> None:
    kubernetes = FakeKubernetes()
    kubernetes.put(run("stays", "Running"))
    kubernetes.put(run("vanishes", "Running"))
    index = index_of(kubernetes, scratch)
    async with running(index):
        await until(lambda: _has(scratch, {"stays": "Running", "vanishes": "Running"}))
        await until(lambda: kubernetes.watches_open(RUNS))
        kubernetes.expire_watches()
        kubernetes.remove(RUNS, "vanishes")
        await until(lambda: _has(scratch, {"stays": "Running"}, absent="vanishes"))


async def test_with_an_archive_a_run_that_is_gone_stays_as_history(database: Database) -> None:
    kubernetes, queries = FakeKubernetes(), RunQueries(database)
    for name, phase in (("ended", "Succeeded"), ("open", "Running"), ("vanishes", "Running")):
        kubernetes.put(run(name, phase))
    await RunRows(database).upsert([RunRow("uid-before", "default", "before", 1, phase="Running")])
    index = index_of(kubernetes, database, keeps_gone=True)
    async with running(index):
        await until(lambda: _has(database, {"ended": "Succeeded", "open": "Running"}, absent="before"))
        await until(lambda: kubernetes.watches_open(RUNS))
        kubernetes.remove(RUNS, "ended")
        kubernetes.remove(RUNS, "open")
        await until(lambda: _has(database, {"vanishes": "Running"}, absent="open"))
    found = {row.name: (row.phase, row.error) for row in await queries.history(RunFilter(), limit=9, offset=0)}
    assert found == {
        "ended": ("Succeeded", None),
        "open": ("Failed", "deleted"),
        "vanishes": ("Running", None),
        "before": ("Failed", "deleted"),
    }


async def _is(database: Database, expected: dict[str, str]) -> bool:
    return await phases(database) == expected


async def test_runs_of_a_namespace_are_gone_while_it_is_not_watched(database: Database) -> None:
    kubernetes, queries = FakeKubernetes(), RunQueries(database)
    for name, namespace in (("stays", "one"), ("open", "two"), ("ended", "two"), ("vanishes", "two")):
        kubernetes.put(run(name, "Succeeded" if name == "ended" else "Running", namespace=namespace))
    for scopes, expected in (
        (("one", "two"), {"stays": "Running", "open": "Running", "ended": "Succeeded", "vanishes": "Running"}),
        (("one",), {"stays": "Running"}),
        ((None,), {"stays": "Running", "open": "Running", "ended": "Succeeded"}),
    ):
        index = index_of(kubernetes, database, keeps_gone=True, scopes=scopes)
        async with running(index):
            await until(partial(is_whole, index))
            await until(partial(_is, database, expected))
        if scopes == ("one",):
            kubernetes.remove(RUNS, "vanishes", "two")
    gone = {row.name: row.error for row in await queries.history(RunFilter(), limit=9, offset=0) if row.deleted_at}
    assert gone == {"vanishes": "deleted"}


@pytest.mark.parametrize("moment", ["list", "watch"])
async def test_a_database_that_is_away_gets_everything_later(
    scratch: Database, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    monkeypatch.setattr(run_index, "_RETRY_SECONDS", 0.01)
    kubernetes = FakeKubernetes()
    kubernetes.put(run("first", "Running"))
    index = index_of(kubernetes, scratch)
    upsert, is_away = index.rows.upsert, moment == "list"

    async def away_for_a_while(rows: Any, **how: Any) -> None:
        if is_away:
            raise DatabaseUnavailable("unreachable", "test")
        await upsert(rows, **how)

    monkeypatch.setattr(index.rows, "upsert", away_for_a_while)
    async with running(index):
        if moment == "watch":
            await until(lambda: is_whole(index))
            is_away = True
        await until(lambda: kubernetes.watches_open(RUNS) or moment == "list")
        for number in range(20):
            kubernetes.put(run(f"run-{number}", "Succeeded"))
        kubernetes.put(run("first", "Succeeded"))
        await until(lambda: index.metrics.registry.get_sample_value("sympozium_archive_errors_total"))
        if moment == "list":
            assert await index.state.unread()
        is_away = False
        everything = {f"run-{number}": "Succeeded" for number in range(20)} | {"first": "Succeeded"}
        await until(lambda: _has(scratch, everything))


async def test_a_state_that_waited_for_the_database_brings_no_run_back_that_a_later_list_lacks(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_index, "_RETRY_SECONDS", 0.01)
    kubernetes = FakeKubernetes()
    kubernetes.put(run("stays", "Running"))
    index = index_of(kubernetes, database, keeps_gone=True)
    upsert, is_away, tries = index.rows.upsert, False, 0

    async def away_for_a_while(rows: Any, **how: Any) -> None:
        nonlocal tries
        rows = list(rows)
        if is_away and any(row.name == "short" for row in rows):
            tries += 1
            raise DatabaseUnavailable("unreachable", "test")
        await upsert(rows, **how)

    monkeypatch.setattr(index.rows, "upsert", away_for_a_while)
    async with running(index):
        await until(lambda: is_whole(index))
        await until(lambda: kubernetes.watches_open(RUNS))
        is_away = True
        kubernetes.put(run("short", "Running"))
        await until(lambda: tries)
        kubernetes.expire_watches()
        kubernetes.remove(RUNS, "short")
        await asyncio.sleep(0.5)  # the list is read again
        is_away = False
        kubernetes.put(run("later", "Running"))
        await until(lambda: _has(database, {"stays": "Running", "later": "Running"}, absent="short"))
        await asyncio.sleep(0.3)
        assert set(await phases(database)) == {"stays", "later"}


async def test_a_row_that_cannot_be_read_is_counted_and_stops_nothing(scratch: Database) -> None:
    kubernetes = FakeKubernetes()
    broken = run("broken")
    broken["metadata"]["creationTimestamp"] = "yesterday"
    kubernetes.put(broken)
    kubernetes.put(run("sound"))
    index = index_of(kubernetes, scratch)
    async with running(index):
        await until(lambda: is_whole(index))
        kubernetes.put(run("sound", "Running"))
        await until(lambda: _has(scratch, {"sound": "Running"}, absent="broken"))
    assert index.metrics.registry.get_sample_value("sympozium_archive_unreadable_runs_total") == 1


async def test_progress_is_told_until_the_first_list_is_whole(scratch: Database) -> None:
    kubernetes = FakeKubernetes()
    for number in range(600):
        kubernetes.put(run(f"run-{number:03}"))
    index = index_of(kubernetes, scratch)
    unread = await index.state.unread()
    assert unread is not None
    assert (unread.read, unread.expected) == (0, None)
    progress = list[tuple[int, int | None]]()
    async with running(index):
        while unread := await index.state.unread():
            progress.append((unread.read, unread.expected))
            await asyncio.sleep(0)
    assert {(250, 600), (500, 600)} <= set(progress)


async def test_a_namespace_that_may_not_be_read_does_not_hold_up_the_others(
    scratch: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_index, "_GIVE_UP_SECONDS", 0.05)
    kubernetes = _OneForbidden()
    kubernetes.documents["/version"] = {}
    for namespace in ("one", "two", "unserved"):
        kubernetes.put(run(f"run-{namespace}", "Running", namespace=namespace))
    index = index_of(kubernetes, scratch, scopes=("one", "forbidden", "two"))
    async with running(index):
        await until(lambda: is_whole(index))
        assert set(await phases(scratch)) == {"run-one", "run-two"}


class _OneForbidden(FakeKubernetes):
    """An API server that refuses to list one namespace."""

    async def collection(
        self,
        kind: ResourceType,
        namespace: str | None,
        reading: Reading = Reading(),  # noqa: B008 - it is frozen
        /,
        **selectors: str,
    ) -> Collection:
        if namespace == "forbidden":
            raise ApiError(403, {"reason": "Forbidden"})
        return await super().collection(kind, namespace, reading, **selectors)


async def test_another_replica_takes_over_and_lists_again(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    if database.settings.is_sqlite:
        pytest.skip("a file has one replica")
    monkeypatch.setattr("sympozium_archive.database.LOCK_RETRY_SECONDS", 0.05)
    kubernetes = FakeKubernetes()
    kubernetes.put(run("run", "Running"))
    first, second = index_of(kubernetes, database, keeps_gone=True), index_of(kubernetes, database, keeps_gone=True)
    async with running(first) as leader:
        await until(lambda: is_whole(first))
        async with running(second):
            await until(lambda: is_whole(second))  # as the first replica tells
            assert len(kubernetes.reads) == 1
            leader.cancel()
            await until(lambda: len(kubernetes.reads) == 2)
            kubernetes.put(run("run", "Succeeded"))
            await until(lambda: _has(database, {"run": "Succeeded"}))


async def test_a_watch_of_another_kind_of_failure_is_tried_again(scratch: Database) -> None:
    kubernetes = FakeKubernetes()
    kubernetes.put(run("run", "Running"))
    kubernetes.refuse("list", RUNS, api_error(500, "InternalError"), api_error(410, "Expired"))
    index = index_of(kubernetes, scratch)
    async with running(index):
        await until(lambda: _has(scratch, {"run": "Running"}))


async def test_the_archiver_is_woken_when_runs_have_ended(scratch: Database) -> None:
    kubernetes, woken = FakeKubernetes(), list[str]()
    kubernetes.put(run("run", "Running"))
    index = index_of(kubernetes, scratch, wake_archiver=lambda: woken.append("woken"))
    async with running(index):
        await until(lambda: is_whole(index))
        await until(lambda: kubernetes.watches_open(RUNS))
        kubernetes.put(run("run", "Succeeded"))
        await until(lambda: woken)
        assert await phases(scratch) == {"run": "Succeeded"}


async def test_pending_changes_are_bounded_and_of_each_run_the_newest() -> None:
    pending = PendingRows(most=2, wait_seconds=0)
    for version in "123":
        await pending.put(RunRow("a", "n", "a", 1, resource_version=version))
    await pending.put(RunRow("b", "n", "b", 1))
    await pending.put(RunRow("b", "n", "b", 1, phase="Running"))
    third = asyncio.create_task(pending.put(RunRow("c", "n", "c", 1)))
    await asyncio.sleep(0.01)
    assert not third.done()
    assert [(row.uid, row.resource_version, row.phase) for row in await pending.take(1)] == [("a", "3", None)]
    await third
    assert len(pending) == 3
    assert pending.lag_seconds > 0
    pending.written()
    assert [row.uid for row in await pending.take(9)] == ["b", "c"]
    pending.written()
    assert (len(pending), pending.lag_seconds) == (0, 0)
