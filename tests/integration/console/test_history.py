"""The history: runs of the archive by filters, also those that are gone; a run with its content; on both databases."""

from dataclasses import replace
from typing import Any

import pytest
from tests.integration.console.conftest import Console, error

from sympozium_archive.run_contents import Contents
from sympozium_archive.run_rows import RunRow, RunRows

HISTORY = "/api/v1/history"
SECOND = 1_000_000
HOUR = 3600 * SECOND
FIRST = 1_764_410_400 * SECOND
"""2025-11-29T10:00:00Z."""
ROW = RunRow(
    uid="u-1",
    namespace="team",
    name="run-1",
    created_at=FIRST,
    instance="coder",
    instance_uid="i-1",
    source="api",
    key_id="token",
    user="ada",
    session="s",
    model="m",
    phase="Succeeded",
    start="warm",
    started_at=FIRST + 2 * SECOND,
    first_token_at=FIRST + 3 * SECOND,
    ended_at=FIRST + 4 * SECOND,
    input_tokens=7,
    output_tokens=9,
    tool_calls=1,
    waiting_ms=2000,
    first_token_ms=1000,
    duration_ms=2000,
    resource_version="8",
    deleted_at=FIRST + 10 * SECOND,
)


async def page(console: Console, **query: Any) -> list[str]:
    response = await console.request("GET", HISTORY, params=query)
    assert response.status_code == 200, response.text
    return [item["name"] for item in response.json()["items"]]


async def test_a_run_that_is_gone_is_read_with_its_content(archiving: Console) -> None:
    database = archiving.context.database
    await RunRows(database).upsert([ROW])
    content = {"request": {"messages": [{"role": "user", "content": "what? \ud800"}]}, "answer": "42", "steps": []}
    await Contents(database).put("u-1", content)
    listed = (await archiving.request("GET", HISTORY)).json()
    assert listed["limit"] == 50
    assert "content" not in listed["items"][0]
    run = (await archiving.request("GET", f"{HISTORY}/u-1")).json()
    assert run.pop("content") == content
    assert run == listed["items"][0]
    assert run == {
        "id": "u-1",
        "namespace": "team",
        "name": "run-1",
        "instance": "coder",
        "instanceUid": "i-1",
        "source": "api",
        "key": "token",
        "user": "ada",
        "session": "s",
        "model": "m",
        "status": "Succeeded",
        "error": None,
        "start": "warm",
        "createdAt": "2025-11-29T10:00:00Z",
        "startedAt": "2025-11-29T10:00:02Z",
        "firstTokenAt": "2025-11-29T10:00:03Z",
        "endedAt": "2025-11-29T10:00:04Z",
        "deletedAt": "2025-11-29T10:00:10Z",
        "inputTokens": 7,
        "outputTokens": 9,
        "toolCalls": 1,
        "waitingMs": 2000,
        "firstTokenMs": 1000,
        "durationMs": 2000,
        "contentState": "kept",
        "cost": "unpriced",
    }


async def test_a_private_run_has_no_content(archiving: Console) -> None:
    await RunRows(archiving.context.database).upsert([replace(ROW, is_private=True)])
    await Contents(archiving.context.database).put("u-1", {"answer": "secret"})
    response = await archiving.request("GET", f"{HISTORY}/u-1")
    assert (response.json()["content"], response.json()["contentState"]) == (None, "none")


async def test_runs_are_found_by_their_filters_newest_first(archiving: Console) -> None:
    others = {
        "namespace": {"namespace": "other"},
        "instance": {"instance": "other"},
        "source": {"source": "other"},
        "key": {"key_id": "other"},
        "user": {"user": "other"},
        "status": {"phase": "Failed"},
    }
    rows = [
        replace(ROW, uid=f"u-{name}", name=name, created_at=FIRST + number * HOUR, **changed)  # type: ignore[arg-type]
        for number, (name, changed) in enumerate(others.items())
    ]
    await RunRows(archiving.context.database).upsert(rows)
    newest = list(reversed(others))
    assert await page(archiving) == newest
    for name, changed in others.items():
        [value] = changed.values()
        assert await page(archiving, **{name: value}) == [name]
    assert await page(archiving, status="Running") == []
    assert await page(archiving, limit=2, offset=1) == newest[1:3]
    assert await page(archiving, **{"from": "2025-11-29T12:00:00Z"}) == newest[:4]
    assert await page(archiving, to="2025-11-29T14:00:00+02:00") == newest[4:]


class TestMistakes:
    @pytest.mark.parametrize(
        ("path", "named"),
        [
            ("?nonsense=1", "nonsense"),
            ("?limit=501", "limit"),
            ("?offset=x", "offset"),
            ("?from=2026-02-30T10:00:00Z", "from"),
            ("?to=10:00", "to"),
            ("?status=Done", "status"),
            ("/a..b", "id"),
            ("/%20", "id"),
            ("/u-1?namespace=team", "namespace"),
        ],
    )
    async def test_an_unknown_or_wrong_parameter_is_named(self, console: Console, path: str, named: str) -> None:
        refused = error(await console.request("GET", HISTORY + path), 400)
        assert [field["field"] for field in refused["fields"]] == [named]

    async def test_a_run_that_the_archive_lacks_is_404(self, archiving: Console) -> None:
        assert error(await archiving.request("GET", f"{HISTORY}/u-9"), 404)["reason"] == "NotFound"

    @pytest.mark.parametrize("path", ["", "/u-1"])
    async def test_a_console_without_an_archive_says_so(self, console: Console, path: str) -> None:
        assert error(await console.request("GET", HISTORY + path), 404)["reason"] == "ArchiveDisabled"
