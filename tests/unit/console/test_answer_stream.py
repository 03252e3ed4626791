"""The events of an answer for its page: the same text at the end, wherever streams break off, and blocks that stay."""

import asyncio
import json
from collections.abc import AsyncGenerator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sse_starlette import ServerSentEvent

from sympozium_console.pages.chat.answer_stream import End, page_events
from sympozium_console.pages.chat.waiting_stage import waiting_of
from sympozium_console.pages.prose.markdown_rendering import rendered

Frames = list[tuple[str, dict[str, Any], str | None]]


async def frames(events: list[tuple[str, dict[str, Any]]], after: int = 0, answer: str = "whole") -> Frames:
    async def source() -> AsyncGenerator[ServerSentEvent]:
        for kind, data in events:
            yield ServerSentEvent(json.dumps(data), event=kind)

    async def end(*, whole: bool) -> End:
        return End("Succeeded", "<p>figures</p>", answer if whole else None)

    found = page_events(source(), after=after, end=end)
    return [(str(frame.event), json.loads(str(frame.data)), frame.id) async for frame in found]


def deltas(text: str, step: int, *, before: int = 0) -> list[tuple[str, dict[str, Any]]]:
    cuts = range(0, len(text), step)
    return [("delta", {"content": text[at : at + step], "after": before + min(at + step, len(text))}) for at in cuts]


ENDED = ("status", {"phase": "Succeeded"})
TEXT = "# Title\n\nSome *text* \U0001f600.\n\n- one\n- two\n\n```py\nx = 1\n\ny = 2\n```\n\nlast"


def html_of(found: Frames) -> str:
    return "".join(data["html"] for kind, data, _ in found if kind == "block")


async def test_an_answer_becomes_blocks_as_they_are_complete_and_figures_at_its_end() -> None:
    found = await frames([("status", {}), *deltas(TEXT, 5), ENDED])
    assert html_of(found).split() == rendered(TEXT, {}).split()
    assert "".join(data["text"] for kind, data, _ in found if kind == "text") == TEXT
    assert [kind for kind, _, _ in found].count("block") > 3
    assert found[0] == ("waiting", {"stage": "pod", "text": "A pod starts …"}, None)
    assert found[-1] == ("end", {"phase": "Succeeded", "foot": "<p>figures</p>", "answer": None}, None)
    assert next(data["open"] for kind, data, _ in reversed(found) if kind == "block") == ""


@given(st.integers(1, 30), st.integers(0, 60))
def test_a_stream_that_breaks_off_anywhere_continues_after_its_last_block(step: int, seen: int) -> None:
    async def both() -> tuple[Frames, Frames]:
        first = (await frames([*deltas(TEXT, step), ENDED]))[:seen]
        place = int(next((place for _, _, place in reversed(first) if place is not None), "0"))
        return first, await frames([*deltas(TEXT[place:], step, before=place), ENDED], after=place)

    first, second = asyncio.run(both())
    assert (html_of(first) + html_of(second)).split() == rendered(TEXT, {}).split()


async def test_an_answer_that_comes_at_once_is_taken_in_pieces() -> None:
    text = "word *x*\n\n" * 2000
    found = await frames([*deltas(text, len(text)), ENDED])
    assert max(len(json.dumps(data)) for _, data, _ in found) < 8000
    assert html_of(found).split() == rendered(text, {}).split()


async def test_reasoning_comes_before_the_answer_and_is_counted_with_it() -> None:
    thoughts = ("delta", {"reasoning": "hm", "after": 2})
    found = await frames([thoughts, *deltas("a\n\nb\n\nc", 2, before=2), ENDED])
    assert found[0] == ("reasoning", {"text": "hm"}, "2")
    assert [place for kind, _, place in found if kind == "block"] == ["5", "8", "9"]


async def test_thoughts_in_the_middle_of_a_block_are_no_place_to_continue_at() -> None:
    text, thoughts = deltas("a\n\nb b", 6), ("delta", {"reasoning": "hm", "after": 8})
    found = await frames([*text, thoughts, *deltas(" b\n\nc\n\nd", 9, before=8), ENDED])
    assert [place for kind, _, place in found if kind == "reasoning"] == [None]
    places = [(data["open"], place) for kind, data, place in found if kind == "block"]
    assert places[0] == ("b b", "3")
    assert places[-1] == ("", "16")


async def test_the_source_of_a_stream_that_its_reader_leaves_is_closed() -> None:
    closed = asyncio.Event()

    async def source() -> AsyncGenerator[ServerSentEvent]:
        try:
            while True:
                yield ServerSentEvent(json.dumps({"phase": "Running"}), event="status")
        finally:
            closed.set()

    async def end(*, whole: bool) -> End:
        raise AssertionError(whole)

    events = source()
    found = page_events(events, after=0, end=end)
    await anext(found)
    await found.aclose()
    assert closed.is_set()


async def test_what_broke_off_keeps_its_open_end_as_it_came() -> None:
    found = await frames([*deltas("a\n\nb *c", 3), ("status", {"phase": "Failed"})])
    assert [kind for kind, _, _ in found] == ["text", "block", "text", "text", "end"]
    assert found[1][1]["open"] == ""


async def test_an_answer_whose_links_are_defined_at_its_end_is_rendered_again() -> None:
    found = await frames([*deltas("[a]\n\nb\n\n[a]: https://x.example\n", 4), ENDED])
    assert found[-1][1]["answer"] == "whole"


async def test_tools_notes_and_deletion_are_told() -> None:
    found = await frames(
        [
            ("tool", {"id": "c", "function": "search", "state": "started"}),
            ("event", {"reason": "WaitingForCapacity", "message": "no room"}),
            ("event", {"reason": "RunFailed", "message": "x"}),
            ("deleted", {}),
        ]
    )
    assert [(kind, data) for kind, data, _ in found] == [
        ("tool", {"function": "search", "state": "started"}),
        ("note", {"text": "no room"}),
        ("deleted", {}),
    ]


@pytest.mark.parametrize(
    ("status", "stage", "text"),
    [
        ({}, "pod", "A pod starts …"),
        ({"phase": "Pending", "queuePosition": 1}, "queue", "Place 1 in the queue: it starts next"),
        ({"phase": "Pending", "queuePosition": 3}, "queue", "Place 3 in the queue: 2 before it"),
        ({"phase": "Pending", "start": "warm"}, "model", "An idle pod has taken the question …"),
        ({"phase": "Running"}, "model", "The model answers …"),
        (
            {"conditions": [{"type": "Accepted", "status": "False", "message": "there is no instance demo"}]},
            "blocked",
            "there is no instance demo",
        ),
    ],
)
def test_a_wait_is_told_as_what_it_is(status: dict[str, Any], stage: str, text: str) -> None:
    waiting = waiting_of(status)
    assert (waiting.stage, waiting.text) == (stage, text)
