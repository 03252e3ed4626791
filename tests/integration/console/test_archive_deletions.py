"""Deletions over HTTP with an archive: what callers see, and what history has afterwards."""

import asyncio
from typing import Any

import pytest
from tests.integration.conftest import eventually
from tests.integration.console.conftest import DEMO, SPEC, Console, error, run

from sympozium_api import names
from sympozium_api.resources import INSTANCES, RUNS
from sympozium_archive.run_rows import RunRow, run_row
from sympozium_archive.tables import runs
from sympozium_archive.unavailable import DatabaseUnavailable


async def rows(console: Console) -> dict[str, RunRow]:
    async with console.context.database.reading() as connection:
        return {row["name"]: run_row(row) for row in (await connection.execute(runs.select())).mappings()}


async def test_a_run_is_archived_before_it_is_deleted(archiving: Console) -> None:
    archiving.kubernetes.put(run("w1", phase="Succeeded"))
    assert (await archiving.request("DELETE", "/api/v1/runs/w1")).status_code == 204
    assert (await rows(archiving))["w1"].phase == "Succeeded"
    assert archiving.kubernetes.names(RUNS) == []
    error(await archiving.request("DELETE", "/api/v1/runs/w1"), 404)


async def test_an_instance_whose_runs_have_ended_is_gone_at_once(archiving: Console) -> None:
    archiving.kubernetes.put(run("w1", phase="Succeeded"))
    assert (await archiving.request("DELETE", DEMO)).status_code == 204
    assert (await rows(archiving))["w1"].phase == "Succeeded"
    error(await archiving.request("DELETE", DEMO), 404)


async def test_while_runs_go_on_the_caller_is_told_to_repeat_the_request(
    archiving: Console, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert archiving.context.archiver
    object.__setattr__(archiving.context.archiver.instances, "wait_seconds", 0.05)
    archiving.kubernetes.put(run("w1"))
    accepted = await archiving.request("DELETE", DEMO)
    assert accepted.status_code == 202
    assert accepted.json()["metadata"]["labels"][names.LABEL_DELETING].isdigit()
    assert (await archiving.request("DELETE", DEMO)).json() == accepted.json()
    refused = error(await archiving.request("PUT", DEMO, json={"spec": SPEC}), 409)
    assert refused["reason"] == "InstanceDeleting"
    archiving.kubernetes.put(run("w1", phase="Succeeded"))
    await eventually(lambda: archiving.kubernetes.names(INSTANCES) == [])
    assert (await rows(archiving))["w1"].phase == "Succeeded"
    error(await archiving.request("DELETE", DEMO), 404)


async def test_a_precondition_that_fails_begins_no_deletion(archiving: Console) -> None:
    refused = await archiving.request("DELETE", DEMO, headers={"If-Match": '"9-other"'})
    assert error(refused, 412)["reason"] == "PreconditionFailed"
    assert names.LABEL_DELETING not in archiving.instance()["metadata"].get("labels", {})
    error(await archiving.request("DELETE", "/api/v1/instances/nobody"), 404)


async def test_while_the_database_is_away_nothing_is_deleted_and_then_the_deletion_continues(
    archiving: Console, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts = archiving.context.archiver
    assert parts
    archiving.kubernetes.put(run("w1", phase="Succeeded"))

    async def away(*_: Any) -> None:
        raise DatabaseUnavailable("unreachable", "test")

    with monkeypatch.context() as patch:
        patch.setattr(type(parts.runs.archive.rows), "committed", away)
        patch.setattr(type(parts.runs.archive.rows), "upsert", away)
        assert error(await archiving.request("DELETE", DEMO), 503)["reason"] == "DatabaseUnavailable"
        assert archiving.kubernetes.names(RUNS) == ["w1"]
        assert archiving.instance()["metadata"]["labels"][names.LABEL_DELETING]
    async with asyncio.timeout(60):
        await parts.instances.resume()
        while archiving.kubernetes.names(INSTANCES):
            await asyncio.sleep(0.02)
    assert (await rows(archiving))["w1"].phase == "Succeeded"
