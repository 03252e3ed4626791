"""The audit's table: two rows read as one, append-only, found by filters, on both databases."""

import json
import re
from dataclasses import replace

import pytest
from sqlalchemy import delete, update
from sqlalchemy.exc import DBAPIError
from tests.contract.documents import source_files

from sympozium_archive.audit_log import AuditedChange, AuditEntry, AuditFilter, AuditLog
from sympozium_archive.database import Database
from sympozium_archive.tables import audit

ENTRY = AuditEntry(
    namespace="team",
    actor="token",
    user="ada",
    surface="api",
    action="patch",
    kind="SympoziumInstance",
    resource="demo",
    trace_id="0af7651916cd43dd8448eb211c80319c",
    idempotency_key="once",
    fields=("spec.memory.systemPrompt",),
)


class Times:
    """A clock that advances by a microsecond with each look."""

    now = 0

    def __call__(self) -> int:
        self.now += 1
        return self.now


async def test_a_change_is_read_with_its_outcome(database: Database) -> None:
    log = AuditLog(database, Times())
    change_id = await log.begin(ENTRY)
    assert await log.page(AuditFilter(), limit=5) == [AuditedChange(change_id, 1, ENTRY, None, None)]
    await log.outcome(change_id, 200)
    assert await log.page(AuditFilter(), limit=5) == [AuditedChange(change_id, 1, ENTRY, 200, 2)]


async def test_a_change_whose_outcome_is_stored_again_is_one_change(database: Database) -> None:
    log = AuditLog(database, Times())
    change_id = await log.begin(ENTRY)
    for status in (200, 500):
        await log.outcome(change_id, status)
    assert await log.page(AuditFilter(), limit=5) == [AuditedChange(change_id, 1, ENTRY, 200, 2)]
    assert await log.page(AuditFilter(status=500), limit=5) == []


async def test_what_is_not_known_stays_unknown(database: Database) -> None:
    entry = AuditEntry(None, None, None, "api", "list", "AgentRun", None)
    log = AuditLog(database)
    await log.refused(entry, 403)
    [change] = await log.page(AuditFilter(), limit=5)
    assert (change.entry, change.status) == (entry, 403)


async def test_every_filter_leaves_the_others_out(database: Database) -> None:
    log = AuditLog(database, Times())
    for name in ("namespace", "actor", "user", "action", "kind", "resource"):
        other = replace(ENTRY, **{name: f"another {name}"})  # type: ignore[arg-type]
        await log.outcome(await log.begin(other), 404)
    await log.outcome(await log.begin(ENTRY), 200)
    for name in ("namespace", "actor", "user", "action", "kind", "resource"):
        [change] = await log.page(AuditFilter(**{name: f"another {name}"}), limit=50)  # type: ignore[arg-type]
        assert getattr(change.entry, name) == f"another {name}"
    for some, number in ((AuditFilter(status=404), 6), (AuditFilter(status=404, namespace="team"), 5)):
        assert len(await log.page(some, limit=50)) == await log.count(some) == number
    assert (await log.count(AuditFilter()), await log.count(AuditFilter(namespace="team"))) == (7, 6)
    times = [change.at for change in await log.page(AuditFilter(), limit=50)]
    assert times == sorted(times, reverse=True)
    assert [change.at for change in await log.page(AuditFilter(since=times[2]), limit=50)] == times[:3]
    assert [change.at for change in await log.page(AuditFilter(until=times[2]), limit=50)] == times[3:]
    assert [change.at for change in await log.page(AuditFilter(), limit=2, offset=1)] == times[1:3]


async def test_names_beyond_the_column_are_left_out_and_the_rest_can_be_read(database: Database) -> None:
    log = AuditLog(database)
    names = tuple(f"spec.{'x' * 200}{number}" for number in range(50))
    await log.begin(replace(ENTRY, fields=names))
    [change] = await log.page(AuditFilter(), limit=1)
    assert 0 < len(change.entry.fields) < 50
    assert change.entry.fields == names[: len(change.entry.fields)]
    assert len(json.dumps(change.entry.fields)) <= 4000


@pytest.mark.parametrize("statement", [update(audit).values(status=200), delete(audit)])
async def test_a_row_is_neither_changed_nor_deleted(database: Database, statement: object) -> None:
    log = AuditLog(database)
    await log.begin(ENTRY)
    with pytest.raises(DBAPIError, match="append-only"):
        async with database.writing() as connection:
            await connection.execute(statement)  # type: ignore[call-overload]
    assert len(await log.page(AuditFilter(), limit=5)) == 1


def test_no_source_but_the_retention_changes_the_audit() -> None:
    change = re.compile(
        r"\b(?:update|delete)\((?:tables\.)?audit\b(?!_)|\baudit\.(?:update|delete)\(|(?:UPDATE|FROM) audit\b"
    )
    changing = {file.name for file in source_files("console/src") if change.search(file.read_text())}
    assert changing <= {"retention.py"}
