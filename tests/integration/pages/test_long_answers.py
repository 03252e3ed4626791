"""Answers of 300 KB: the page stays quick while they come."""

import json

from playwright.async_api import Browser
from tests.integration.console.conftest import Console
from tests.integration.pages.conftest import Visit
from tests.integration.pages.test_chat import CHAT, Speech, ask

LONGEST_TASK_MS = 50
_SHARED = 8
"""How many times longer a task takes where other processes share processors and caches, 27 ms alone were 52 beside 25 others, and where
the processor itself is slow.
"""
_BLOCK = "## Part\n\nSome *text* with `code` and words that fill a line.\n\n- one\n- two\n\n```py\nx = 1\n```\n\n"
_TASKS = ["toplevel", "disabled-by-default-devtools.timeline"]


async def test_300_kilobytes_come_without_a_long_task(console: Console, visit: Visit, chromium: Browser) -> None:
    """Tasks are measured in processor time, because other processes of the machine make each of them longer."""
    visitor = await visit()
    page = await visitor.open(CHAT)
    speech = Speech(await ask(console, page, "At length, please."))
    await chromium.start_tracing(page=page, categories=_TASKS)
    text = _BLOCK * (300 * 1024 // len(_BLOCK))
    for at in range(0, len(text), 1000):
        speech.say(text[at : at + 1000])
    await speech.end()
    await page.get_by_role("link", name="As curl, Python").wait_for()
    assert await page.evaluate("() => document.querySelector('.answer').textContent.length") > 250_000
    trace = json.loads(await chromium.stop_tracing())["traceEvents"]
    mains = {
        event["tid"] for event in trace if event["name"] == "thread_name" and event["args"]["name"] == "CrRendererMain"
    }
    tasks = sorted(
        event["tdur"] / 1000
        for event in trace
        if "tdur" in event and event["tid"] in mains and "RunTask" in event["name"]
    )
    assert len(tasks) > 100
    assert tasks[-1] <= LONGEST_TASK_MS * _SHARED
