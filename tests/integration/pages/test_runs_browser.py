"""The pages of runs in Chromium: keys, peek, selection, both themes, narrow windows."""

import asyncio
import logging
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import expect
from tests.integration.console.conftest import Console
from tests.integration.pages.conftest import Shoot, Visit, accessible, paged_console
from tests.integration.pages.runs_world import agent_run, ended, furnish, indexed


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def furnished(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Console]:
    folder: Path = tmp_path_factory.mktemp("runs")
    async with paged_console(folder) as console:
        await furnish(console)
        yield console


log = logging.getLogger(__name__)
_PAINTS = """async () => {
  const entries = (type) => new Promise((resolve) => {
    new PerformanceObserver((list) => resolve(list.getEntries())).observe({ type, buffered: true });
    requestAnimationFrame(() => setTimeout(() => resolve([]), 100));
  });
  const [paints, shifts] = await Promise.all([entries("largest-contentful-paint"), entries("layout-shift")]);
  return [Math.max(0, ...paints.map((paint) => paint.startTime)), shifts.reduce((sum, shift) => sum + shift.value, 0)];
}"""
"""Returns the largest contentful paint in milliseconds, and how far things have moved."""


async def test_a_list_is_read_with_keys_alone(furnished: Console, visit: Visit, shoot: Shoot) -> None:
    visitor = await visit(at=furnished)
    page = await visitor.open("/runs")
    await accessible(page)
    await shoot(page, "runs")
    for key in ("j", "j", "j", "j", "x", "j", "k", "o"):
        await page.keyboard.press(key)
    await expect(page.get_by_role("complementary", name="Peek")).to_contain_text("failed")
    await expect(page.get_by_text("1 selected:")).to_be_visible()
    assert "peek=default%2Ffailed" in page.url
    await accessible(page)
    await shoot(page, "runs-peek")
    await page.keyboard.press("Escape")
    await expect(page.get_by_role("complementary", name="Peek")).to_have_count(0)
    await page.get_by_role("link", name="failed", exact=True).focus()
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("heading", level=1)).to_have_text("failed")
    await expect(page.get_by_role("alert")).to_contain_text("the model says 500")
    await accessible(page)
    await shoot(page, "run-failed")


async def test_filters_act_at_once_and_are_in_the_address(furnished: Console, visit: Visit) -> None:
    page = await (await visit(at=furnished)).open("/runs?phase=Failed")
    await page.get_by_label("Name", exact=True).fill("else")
    await expect(page.locator("tbody tr")).to_have_count(1)
    await page.wait_for_url("**/runs?*q=else*")
    assert "phase=Failed" in page.url
    await expect(page.get_by_label("Name", exact=True)).to_be_focused()


async def test_a_list_shows_what_changes_and_moves_neither_focus_nor_selection(
    furnished: Console, visit: Visit
) -> None:
    furnished.kubernetes.put(agent_run("l-first", 10))
    await indexed(furnished, "l-first")
    page = await (await visit(at=furnished)).open("/runs?q=l-&namespace=default")
    await page.get_by_label("Select l-first").check()
    await page.get_by_role("link", name="l-first", exact=True).focus()
    furnished.kubernetes.put(agent_run("l-second", 11) | ended(11))
    await expect(page.get_by_role("link", name="l-second", exact=True)).to_be_visible()
    await expect(page.get_by_role("link", name="l-first", exact=True)).to_be_focused()
    await expect(page.get_by_label("Select l-first")).to_be_checked()
    await expect(page.get_by_text("1 selected:")).to_be_visible()


async def test_a_run_is_cancelled_and_deleted_from_its_page(furnished: Console, visit: Visit, shoot: Shoot) -> None:
    page = await (await visit(at=furnished)).open("/runs/default/goes-on")
    await page.get_by_role("button", name="Cancel").click()
    await expect(page.get_by_text("kubectl -n default patch agentrun goes-on")).to_be_visible()
    await accessible(page)
    await shoot(page, "run-cancel")
    await page.locator("#do-cancel").get_by_role("button", name="Cancel", exact=True).click()
    await expect(page.get_by_text("asked for")).to_be_visible()


async def test_a_run_is_cancelled_by_keys_after_a_question(furnished: Console, visit: Visit) -> None:
    page = await (await visit(at=furnished)).open("/runs?phase=Running")
    await page.keyboard.press("j")
    await page.keyboard.press("c")
    await page.wait_for_url("**/runs/default/goes-on#do-cancel")
    await expect(page.get_by_text("Cancel this run?")).to_be_visible()
    await page.keyboard.press("Escape")
    await expect(page.get_by_text("Cancel this run?")).to_be_hidden()
    await page.get_by_role("button", name="Copy the name").focus()
    await page.keyboard.press("c")
    await expect(page.get_by_text("Cancel this run?")).to_be_visible()
    await page.keyboard.press("Escape")
    await page.keyboard.press("y")
    await page.wait_for_url("**/runs/default/goes-on?tab=yaml")


LARGEST_PAINT_MS = 1000
"""Goal of a quiet machine; one that is shared has ten times as much."""


async def test_pages_are_painted_soon_and_nothing_moves_while_they_load(furnished: Console, visit: Visit) -> None:
    """Each page is loaded with nothing in the browser's cache. ``--log-cli-level info`` shows the figures."""
    paths = ("/", "/runs", "/runs/default/failed", "/usage", "/instances", "/instances/default/demo/chat", "/about")
    for path in paths:
        page = await (await visit(at=furnished)).open(path)
        await page.wait_for_load_state("load")
        paints = 0
        async with asyncio.timeout(60):
            while not paints:  # a busy browser lists its paints later
                paints, moved = await page.evaluate(_PAINTS)
        log.info("%s: largest paint after %.0f ms, moved %.3f", path, paints, moved)
        assert moved <= 0.05, path
        assert 0 < paints <= 10 * LARGEST_PAINT_MS, path
