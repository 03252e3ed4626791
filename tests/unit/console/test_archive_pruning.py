"""Pruning with an archive: by the operator's rule, only what is committed, and whole whatever ends the process."""

import json
from typing import Any

import pytest
from tests.databases import content_of
from tests.unit.console.archiver_world import ArchiverWorld, Killed, Killer, ended
from tests.unit.operator.objects import NAMESPACE, run_object
from tests.unit.operator.test_retention import with_parts, with_texts

from sympozium_api import names
from sympozium_api.resources import RUNS
from sympozium_archive.database import Database
from sympozium_archive.tables import CONTENT_KEPT
from sympozium_archive.unavailable import DatabaseUnavailable


def world(database: Database, *runs: dict[str, Any], **retention: int) -> ArchiverWorld:
    made = ArchiverWorld(database, **retention)
    for run in runs:
        made.cluster.put(run)
    return made


async def test_surplus_runs_are_archived_and_then_deleted(database: Database) -> None:
    here = world(database, *[ended(f"q{number}", created=number) for number in range(6)], run_object("open"))
    here.pass_hours(2)
    await here.pruner.prune()
    assert here.left() == ["open", "q4", "q5"]
    rows = await here.table()
    assert [row.name for row in rows if row.content_state == CONTENT_KEPT] == ["q0", "q1", "q2", "q3"]
    assert (await here.content("q0"))["answer"] == "Answer of q0"


async def test_a_run_that_is_archived_already_is_not_read_again(database: Database) -> None:
    here = world(database, *[ended(f"q{number}", created=number) for number in range(6)])
    await here.indexed()
    await here.loop.archive_missing()
    reads = len([verb for verb, _, _ in here.cluster.reads if verb == "get"])
    here.pass_hours(2)
    await here.pruner.prune()
    assert here.left() == ["q4", "q5"]
    assert len([verb for verb, _, _ in here.cluster.reads if verb == "get"]) == reads


async def test_no_run_goes_in_the_hour_after_its_end_or_while_its_key_stands(database: Database) -> None:
    keyed = [ended(f"k{number}", created=number) for number in range(4)]
    for run in keyed:
        run["metadata"]["annotations"] = {names.ANNOTATION_KEY_EXPIRES: "2026-01-02T00:00:00Z"}
    here = world(database, *keyed, *[ended(f"q{number}", created=number) for number in range(4)])
    here.pass_hours(0.9)
    await here.pruner.prune()
    assert len(here.left()) == 8
    here.pass_hours(1)
    await here.pruner.prune()
    assert here.left() == ["k0", "k1", "k2", "k3", "q2", "q3"]


async def test_discarded_runs_go_at_once_and_leave_numbers_only(database: Database) -> None:
    run = ended("q1")
    here = world(database, run)
    await here.indexed()
    await here.loop.archive_missing()
    await here.cluster.patch(RUNS, NAMESPACE, "q1", {"metadata": {"annotations": {names.ANNOTATION_DISCARDED: "true"}}})
    await here.pruner.prune()  # the index has not seen it yet
    assert here.left() == []
    assert (await here.row("q1")).is_private
    assert await here.content("q1") is None


async def test_a_run_that_changes_before_its_deletion_stays_until_it_is_read_again(database: Database) -> None:
    here = world(database, ended("q1"))
    await here.indexed()
    await here.loop.archive_missing()
    here.pass_hours(50)

    def discard() -> None:
        body = here.cluster.object(RUNS, "q1", NAMESPACE)
        body["metadata"]["annotations"] = {names.ANNOTATION_DISCARDED: "true"}
        here.cluster.put(body)

    here.cluster.meanwhile("delete", RUNS, discard)
    await here.pruner.prune()
    assert here.left() == ["q1"]
    await here.pruner.prune()
    assert here.left() == []
    assert await here.content("q1") is None


async def test_a_namespace_that_stores_too_many_bytes_is_bounded_with_nothing_lost(database: Database) -> None:
    here = world(database, *[ended(f"q{number}", created=number) for number in range(4)])
    for number in range(3):
        with_parts(here, f"q{number}", 6)  # type: ignore[arg-type]
    body = with_texts(here.cluster.object(RUNS, "q3", NAMESPACE), question=1024 * 1024)
    del body["spec"]["task"]
    here.cluster.put(body)
    await here.pruner.prune()
    assert here.left() == ["q1", "q2", "q3"]
    assert (await here.row("q0")).content_state == CONTENT_KEPT


async def test_an_instance_is_bounded_whatever_the_other_settings_say(database: Database) -> None:
    here = world(database, *[ended(f"q{number}", created=number) for number in range(5)], at_most=3)
    await here.pruner.prune()
    assert here.left() == ["q2", "q3", "q4"]


async def test_while_the_database_is_away_nothing_is_pruned(database: Database) -> None:
    here = world(database, *[ended(f"q{number}") for number in range(5)])
    here.pass_hours(50)

    async def away(_: Any) -> None:
        raise DatabaseUnavailable("unreachable", "test")

    committed = here.rows.committed
    here.rows.committed = away  # type: ignore[method-assign,assignment]
    with pytest.raises(DatabaseUnavailable):
        await here.pruner.prune()
    assert len(here.left()) == 5
    here.rows.committed = committed  # type: ignore[method-assign]
    here.rows.upsert = away  # type: ignore[method-assign,assignment]
    with pytest.raises(DatabaseUnavailable):
        await here.pruner.prune()
    assert len(here.left()) == 5
    here.restarted()
    await here.pruner.prune()
    assert (here.left(), len(await here.table())) == ([], 5)


async def test_killed_at_any_step_each_run_is_in_the_table_once_and_none_is_lost(database: Database) -> None:
    """At each call of the API server and each transaction, before it and after it, and within a transaction."""
    runs = [ended(f"q{number}", created=number) for number in range(3)]
    runs[1]["spec"]["responseText"] = {"json": '{"asked":{"store":false}}'}
    step, was_killed = 0, True
    while was_killed:
        step += 1
        prefix = f"s{step}-"
        here = ArchiverWorld(database)
        for number, run in enumerate(runs):
            body = run | {"metadata": run["metadata"] | {"name": f"{prefix}{number}", "uid": f"{prefix}{number}"}}
            here.cluster.put(body)
        here.pass_hours(50)
        here.restarted(Killer(step))
        try:
            await here.pruner.prune()
            was_killed = False
        except Killed:
            rows = {row.name: row for row in await here.table()}
            gone = {f"{prefix}{number}" for number in range(3)} - set(here.left())
            assert gone <= rows.keys(), step
            assert all(rows[name].content_state for name in gone), step
        here.restarted()
        await here.pruner.prune()
        assert here.left() == []
        mine = [row for row in await here.table() if row.name.startswith(prefix)]
        assert [(row.name, row.phase, row.is_private) for row in mine] == [
            (f"{prefix}0", "Succeeded", False),
            (f"{prefix}1", "Succeeded", True),
            (f"{prefix}2", "Succeeded", False),
        ]
        for row in mine:
            content = await content_of(here.database, row.uid)
            assert (content is None) == row.is_private
    assert step > 20


async def test_no_page_of_runs_is_longer_than_the_console_takes_at_once(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = [ended(f"q{number:02}", created=number) for number in range(40)]
    for run in runs:
        run["metadata"]["annotations"] = {"team/note": "x" * 200_000}
    here = world(database, *runs)
    collection, longest = here.cluster.collection, 0

    async def measured(*args: Any, **selectors: str) -> Any:
        nonlocal longest
        page = await collection(*args, **selectors)
        longest = max(longest, len(json.dumps(page.items)))
        return page

    monkeypatch.setattr(here.cluster, "collection", measured)
    here.pass_hours(2)
    await here.pruner.prune()
    assert len(here.left()) == 2
    assert 0 < longest <= 5 * 1024 * 1024
