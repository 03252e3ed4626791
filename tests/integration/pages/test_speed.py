"""How soon a change and a token are there, and many tabs of one browser. ``--log-cli-level info`` shows the figures.

The goals are those of a quiet machine; the bounds of these tests are wide, because the machine of the tests is shared.
"""

import asyncio
import logging
import statistics
import time

from playwright.async_api import Page, expect
from tests.integration.console.conftest import Console
from tests.integration.pages.conftest import Visit
from tests.integration.pages.test_chat import CHAT, Speech, ask
from tests.integration.pages.test_live import named

CHANGE_SECONDS = 0.5
TOKEN_SECONDS = 0.01
SHARED = 20
"""How many times longer it may take beside the other tests."""
TABS = 10
_VISIBLE = """(visible) => {
  Object.defineProperty(document, "hidden", {get: () => !visible, configurable: true});
  document.dispatchEvent(new Event("visibilitychange"));
}"""
"""Lets a tab be in sight or not, as a browser with a window does; without one all of them are in sight."""
log = logging.getLogger(__name__)


def tell(what: str, seconds: list[float]) -> float:
    """Log the median and the 95th percentile, and return the latter."""
    cuts = statistics.quantiles(seconds, n=20)
    p50, p95 = cuts[9] * 1000, cuts[18] * 1000
    log.info("%s: p50 %.1f, p95 %.1f ms (n=%d)", what, p50, p95, len(seconds))
    return cuts[18]


async def test_a_change_is_on_the_page_soon(console: Console, visit: Visit) -> None:
    page = await (await visit()).open("/instances")
    await page.get_by_text("Live", exact=True).wait_for()
    took = []
    for number in range(20):
        began = time.perf_counter()
        console.kubernetes.put(named(f"soon-{number:02}", phase="Running"))
        await page.wait_for_function("(name) => document.body.innerText.includes(name)", arg=f"soon-{number:02}")
        took.append(time.perf_counter() - began)
    assert tell("a change on the page", took) < SHARED * CHANGE_SECONDS


async def test_a_token_passes_the_console_soon(console: Console, visit: Visit) -> None:
    page = await (await visit()).open(CHAT)
    speech = Speech(await ask(console, page, "Word by word."))
    took = []
    async with console.http.stream("GET", f"{CHAT}/{speech.name}/events") as answer:
        lines = answer.aiter_lines()
        for number in range(200):
            began = time.perf_counter()
            speech.say(f"word{number} ")
            while f"word{number} " not in await anext(lines):
                pass
            took.append(time.perf_counter() - began)
    await speech.end()
    assert tell("a token's way through the console", took) < SHARED * TOKEN_SECONDS


async def test_ten_tabs_of_one_browser_all_answer(console: Console, visit: Visit) -> None:
    visitor = await visit()
    tabs: list[Page] = []
    for _ in range(TABS):
        for tab in tabs[-1:]:
            await tab.evaluate(_VISIBLE, arg=False)
        tabs.append(await visitor.open("/instances"))
        await tabs[-1].get_by_text("Live", exact=True).wait_for()
    await tabs[-1].evaluate(_VISIBLE, arg=False)
    console.kubernetes.put(named("for-all-tabs", phase="Running"))
    for tab in tabs:
        await tab.evaluate(_VISIBLE, arg=True)
        await tab.get_by_role("link", name="for-all-tabs").wait_for()
        await tab.get_by_label("Name or title").fill("none-such")
        await expect(tab.get_by_role("heading", name="No instances match")).to_be_visible()
        await tab.evaluate(_VISIBLE, arg=False)
    async with asyncio.timeout(60):
        while console.context.feed.open_streams._value.get():
            await asyncio.sleep(0.05)
