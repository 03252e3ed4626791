"""Lists of the newest runs, their numbers, and usage: from the index, on a console's real socket."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from tests.integration.console.conftest import Console, error, run

from sympozium_api import names
from sympozium_api.client import ApiUnavailable
from sympozium_api.resources import RUNS, Object
from sympozium_archive.unavailable import DatabaseUnavailable

NEWEST = "/api/v1/runs?order=newest"
SECOND = "2026-01-01T00:00:"


def finished(number: int, **known: Any) -> Object:
    body = run(f"run-{number:02}", phase="Succeeded", **known)
    body["metadata"]["creationTimestamp"] = f"{SECOND}{number:02}Z"
    body["status"] |= {
        "start": "warm",
        "startedAt": f"{SECOND}{number:02}Z",
        "completedAt": f"{SECOND}{number:02}Z",
        "times": {"endedAt": f"{SECOND}{number:02}.500000Z", "firstTokenAt": f"{SECOND}{number:02}.250000Z"},
        "model": "m",
        "tokenUsage": {"inputTokens": 2, "outputTokens": 3},
    }
    return body


@pytest.fixture
async def indexed(console: Console) -> AsyncIterator[Console]:
    """A console with six runs, and with its index."""
    for number in range(6):
        console.kubernetes.put(finished(number))
    async with indexing(console):
        yield console


def indexing(console: Console) -> "_Indexing":
    return _Indexing(console)


class _Indexing:
    """The loop that keeps a console's index, until the block ends."""

    def __init__(self, console: Console) -> None:
        self._console = console

    async def __aenter__(self) -> None:
        self._task = asyncio.create_task(self._console.context.loops["index"]())
        await until(lambda: _answers(self._console))

    async def __aexit__(self, *_: object) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)


async def _answers(console: Console) -> bool:
    return (await console.http.get(NEWEST)).status_code == 200


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(60):
        while not await condition():
            await asyncio.sleep(0.01)


async def names_of(console: Console, parameters: str = "") -> list[str]:
    response = await console.http.get(NEWEST + parameters)
    assert response.status_code == 200, response.text
    return [item["name"] for item in response.json()["items"]]


async def test_runs_come_newest_first_in_pages_with_the_numbers_of_all(indexed: Console) -> None:
    first = (await indexed.http.get(f"{NEWEST}&limit=4")).json()
    assert [item["name"] for item in first["items"]] == ["run-05", "run-04", "run-03", "run-02"]
    assert first["counts"] == {
        "runs": 6,
        "phases": {"Succeeded": 6},
        "instances": [{"namespace": "default", "instance": "demo", "runs": 6, "phases": {"Succeeded": 6}}],
    }
    indexed.kubernetes.put(finished(9))
    await until(lambda: _has(indexed, "run-09"))
    second = (await indexed.http.get(f"{NEWEST}&limit=4&before={first['metadata']['before']}")).json()
    assert [item["name"] for item in second["items"]] == ["run-01", "run-00"]
    assert second["metadata"]["before"] is None
    assert second["counts"]["runs"] == 7


async def _has(console: Console, name: str) -> bool:
    return name in await names_of(console)


async def test_an_item_has_times_and_tokens_and_no_content(indexed: Console) -> None:
    response = await indexed.http.get(f"{NEWEST}&limit=1")
    [item] = response.json()["items"]
    assert item["id"] == indexed.kubernetes.object(RUNS, "run-05")["metadata"]["uid"]
    assert (item["instance"], item["phase"], item["start"], item["model"]) == ("demo", "Succeeded", "warm", "m")
    assert (item["createdAt"], item["endedAt"]) == (f"{SECOND}05Z", f"{SECOND}05.500000Z")
    assert (item["waitingMs"], item["firstTokenMs"], item["durationMs"]) == (0, 250, 500)
    assert (item["inputTokens"], item["outputTokens"]) == (2, 3)
    assert "Hello" not in response.text


async def test_filters_select(indexed: Console) -> None:
    failed = finished(20, caller={"user": "ada"}, sessionKey="s-1")
    failed["status"] |= {
        "phase": "Failed",
        "start": "cold",
        "error": {"type": "timeout", "message": "late", "httpStatus": 504},
    }
    failed["metadata"] |= {
        "namespace": "team",
        "labels": {names.LABEL_SOURCE: "mcp"},
        "annotations": {names.ANNOTATION_KEY_ID: "api-key-ci"},
    }
    failed["spec"]["agentRef"] = "other"
    indexed.kubernetes.put(failed)
    await until(lambda: _has(indexed, "run-20"))
    for parameter in (
        "namespace=team",
        "instance=other",
        "phase=Failed",
        "source=mcp",
        "start=cold",
        "error=timeout",
        "key=api-key-ci",
        "session=s-1",
        "user=ada",
        f"since={SECOND}20Z",
        f"since={SECOND}19.5Z&until={SECOND}21Z",
        "user=ada&phase=Failed&namespace=team",
    ):
        assert await names_of(indexed, f"&{parameter}") == ["run-20"], parameter
    assert await names_of(indexed, "&user=ada&phase=Succeeded") == []
    assert len(await names_of(indexed, f"&until={SECOND}20Z")) == 6


async def test_until_the_first_list_is_whole_the_progress_is_told(console: Console) -> None:
    for path in (NEWEST, "/api/v1/usage"):
        response = await console.http.get(path)
        assert error(response, 503)["reason"] == "Reading"
        assert response.json()["error"]["code"] == "UNAVAILABLE"
        assert response.headers["retry-after"] == "1"
    console.kubernetes.refuse("list", RUNS, *[ApiUnavailable("away")] * 3)
    async with indexing(console):
        assert await names_of(console) == []


async def test_lists_by_name_need_no_index(console: Console) -> None:
    console.kubernetes.put(finished(1))
    for path in ("/api/v1/runs", "/api/v1/runs?order=name"):
        response = await console.http.get(path)
        assert response.json()["kind"] == "AgentRunList"
        assert [item["metadata"]["name"] for item in response.json()["items"]] == ["run-01"]


@pytest.mark.parametrize(
    ("parameters", "field"),
    [
        ("order=oldest", "order"),
        ("order=newest&before=x", "before"),
        ("order=newest&before=1.", "before"),
        ("order=newest&continue=x", "continue"),
        ("order=newest&phase=Gone", "phase"),
        ("order=newest&start=tepid", "start"),
        ("order=newest&since=yesterday", "since"),
        ("order=newest&until=2026-01-01T00:00:00", "until"),
        ("order=newest&since=1", "since"),
        ("order=newest&limit=0", "limit"),
        ("order=newest&limit=501", "limit"),
        ("order=newest&page=2", "page"),
        ("order=newest&user=", "user"),
        ("before=1.a", "before"),
        ("since=2026-01-01T00:00:00Z", "since"),
        ("user=ada", "user"),
        ("error=timeout", "error"),
    ],
)
async def test_a_bad_parameter_of_a_list_is_named(indexed: Console, parameters: str, field: str) -> None:
    refusal = error(await indexed.http.get(f"/api/v1/runs?{parameters}"), 400)
    assert [fault["field"] for fault in refusal["fields"]] == [field]


async def test_usage_is_summed_up_by_dimension_and_time(indexed: Console) -> None:
    day = "/api/v1/usage?from=2026-01-01T00:00:00Z&to=2026-01-02T00:00:00Z"
    report = (await indexed.http.get(f"{day}&by=instance&bucket=1h")).json()
    assert (report["from"], report["to"]) == ("2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z")
    assert report["countsSince"] == f"{SECOND}00Z"
    assert report["items"] == [
        {
            "bucket": "2026-01-01T00:00:00Z",
            "group": {"namespace": "default", "instance": "demo"},
            "runs": 6,
            "ended": 6,
            "failed": 0,
            "inputTokens": 12,
            "outputTokens": 18,
            "cost": None,
            "priced": 0,
            "warmShare": 1.0,
            "waitingMs": {"p50": 0, "p95": 0},
            "firstTokenMs": {"p50": 250, "p95": 250},
            "durationMs": {"p50": 500, "p95": 500},
        }
    ]
    for by, group in (("model", {"model": "m"}), ("key", {"key": None}), ("source", {"source": None})):
        [item] = (await indexed.http.get(f"{day}&by={by}")).json()["items"]
        assert (item["group"], item["bucket"]) == (group, None)
    [none] = (await indexed.http.get(f"{day}&namespace=elsewhere")).json()["items"]
    assert (none["runs"], none["inputTokens"], none["warmShare"], none["durationMs"]) == (0, None, None, None)


@pytest.mark.parametrize(
    ("parameters", "field"),
    [
        ("by=colour", "by"),
        ("bucket=soon", "bucket"),
        ("bucket=1s", "bucket"),
        ("from=2026-01-02T00:00:00Z&to=2026-01-01T00:00:00Z", "from"),
        ("from=2025-01-01T00:00:00Z&to=2026-01-01T00:00:00Z&bucket=1m", "bucket"),
        ("to=now", "to"),
        ("instance=demo", "instance"),
    ],
)
async def test_a_bad_parameter_of_usage_is_named(indexed: Console, parameters: str, field: str) -> None:
    refusal = error(await indexed.http.get(f"/api/v1/usage?{parameters}"), 400)
    assert [fault["field"] for fault in refusal["fields"]] == [field]


async def test_the_routes_need_a_token(indexed: Console) -> None:
    for path in (NEWEST, "/api/v1/usage"):
        error(await indexed.http.get(path, headers={"Authorization": ""}), 401)


async def test_a_database_that_is_away_is_503(indexed: Console, monkeypatch: pytest.MonkeyPatch) -> None:
    async def away(*_: Any, **__: Any) -> None:
        raise DatabaseUnavailable("unreachable", "test")

    monkeypatch.setattr(indexed.context.indexed_runs, "newest", away)
    refusal = error(await indexed.http.get(NEWEST), 503)
    assert refusal["reason"] == "DatabaseUnavailable"
