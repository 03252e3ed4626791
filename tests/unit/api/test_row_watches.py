"""Watches of rows: pages of metadata and columns, then changes, without the objects' contents."""

import json
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

import pytest
from tests.fakes.kubernetes import FakeKubernetes, api_error

from sympozium_api import names, run_columns
from sympozium_api.client import Change, RowPage, watch_rows
from sympozium_api.resources import RUNS, Object

QUESTION = "the question that stays in the API server"
Messages = AsyncGenerator[RowPage | Change, None]


def run(name: str, phase: str = "", **status: Any) -> Object:
    return {
        "apiVersion": names.API_VERSION,
        "kind": "AgentRun",
        "metadata": {"name": name, "namespace": "default", "managedFields": [{"manager": "x"}]},
        "spec": {"agentRef": "demo", "task": QUESTION},
        **({"status": {"phase": phase} | status} if phase else {}),
    }


def cluster(runs: int = 1) -> FakeKubernetes:
    kubernetes = FakeKubernetes()
    for number in range(runs):
        kubernetes.put(run(f"run-{number:03}"))
    return kubernetes


async def listed(messages: Messages) -> list[RowPage]:
    pages = list[RowPage]()
    async for message in messages:
        assert isinstance(message, RowPage)
        pages.append(message)
        if message.is_last:
            break
    return pages


async def change(messages: Messages) -> tuple[str, str | None, bool]:
    message = await anext(messages)
    assert isinstance(message, Change)
    return message.object["metadata"]["name"], message.object["columns"][run_columns.PHASE], message.deleted


async def test_a_collection_comes_in_pages_and_then_in_changes() -> None:
    kubernetes = cluster(runs=600)
    async with aclosing(watch_rows(kubernetes, RUNS, None)) as messages:
        pages = await listed(messages)
        assert [(len(page.rows), page.is_first, page.is_last, page.remaining) for page in pages] == [
            (250, True, False, 350),
            (250, False, False, 100),
            (100, False, True, None),
        ]
        kubernetes.put(run("run-000", "Running"))
        kubernetes.put(run("run-000", "Succeeded"))
        kubernetes.remove(RUNS, "run-000")
        assert [await change(messages) for _ in range(3)] == [
            ("run-000", "Running", False),
            ("run-000", "Succeeded", False),
            ("run-000", "Succeeded", True),
        ]


async def test_a_row_has_metadata_and_columns_and_no_content() -> None:
    kubernetes = cluster()
    async with aclosing(watch_rows(kubernetes, RUNS, "default")) as messages:
        [page] = await listed(messages)
        kubernetes.put(run("run-000", "Succeeded", result=QUESTION, tokenUsage={"inputTokens": 7, "outputTokens": 5}))
        message = await anext(messages)
    assert isinstance(message, Change)
    for row in (*page.rows, message.object):
        assert row.keys() == {"metadata", "columns"}
        assert "managedFields" not in row["metadata"]
        assert QUESTION not in json.dumps(row)
    assert message.object["columns"][run_columns.INPUT_TOKENS] == 7
    assert page.rows[0]["columns"][run_columns.INPUT_TOKENS] is None


async def test_a_watch_resumes_from_a_bookmark_without_another_list() -> None:
    kubernetes = cluster()
    async with aclosing(watch_rows(kubernetes, RUNS, None)) as messages:
        await listed(messages)
        kubernetes.put(run("run-000", "Running"))
        assert await change(messages) == ("run-000", "Running", False)
        kubernetes.end_watches()
        kubernetes.put(run("run-000", "Succeeded"))
        assert await change(messages) == ("run-000", "Succeeded", False)
    assert kubernetes.reads == [("list", "agentruns", "")]


async def test_an_expired_watch_is_followed_by_the_pages_of_another_list() -> None:
    kubernetes = cluster(runs=2)
    async with aclosing(watch_rows(kubernetes, RUNS, None)) as messages:
        await listed(messages)
        kubernetes.put(run("run-000", "Running"))
        assert await change(messages) == ("run-000", "Running", False)
        kubernetes.expire_watches()
        kubernetes.remove(RUNS, "run-001")
        [page] = await listed(messages)
    assert [row["metadata"]["name"] for row in page.rows] == ["run-000"]
    assert int(page.version) > int(page.rows[0]["metadata"]["resourceVersion"])


@pytest.mark.parametrize("failure", [api_error(410, "Expired"), api_error(500, "InternalError")])
async def test_a_list_that_breaks_off_begins_again_with_its_first_page(failure: Exception) -> None:
    kubernetes = cluster(runs=300)
    async with aclosing(watch_rows(kubernetes, RUNS, None)) as messages:
        first = await anext(messages)
        kubernetes.refuse("list", RUNS, failure)
        pages = await listed(messages)
    assert isinstance(first, RowPage)
    assert (first.is_first, first.is_last) == (True, False)
    assert [(len(page.rows), page.is_first) for page in pages] == [(250, True), (50, False)]
