"""Each page in each theme and width, read by axe-core; and by the keyboard alone: Tab reaches all of it, shows where it is and is caught
nowhere, and one comes back to it.

The suite has each pair of page, theme and width; ``SYMPOZIUM_TEST_VIEWS=all`` (``make soak``) each page in all of them.
"""

import os
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import pytest
import pytest_asyncio
from playwright.async_api import Page, expect
from tests.integration.console.conftest import Console
from tests.integration.pages.conftest import NARROW, SMALLEST, WIDE, Shoot, Visit, accessible, fits, paged_console
from tests.integration.pages.runs_world import furnish
from tests.integration.pages.test_instance_pages import TABS
from tests.integration.pages.test_instance_pages import furnished as furnished_instance

PAGES = (
    "/",
    "/instances",
    "/instances/new",
    *(f"/instances/default/seen/{tab}" for tab in (*TABS, "chat")),
    "/runs",
    "/runs?peek=default/failed",
    "/runs/default/answered",
    "/runs/default/failed",
    "/runs/default/failed?tab=log",
    "/runs/default/failed?tab=events",
    "/runs/default/failed?tab=yaml",
    "/runs/default/hostile",
    "/usage",
    "/usage?from=1h",
    "/skills",
    "/skills/default/search",
    "/config",
    "/about",
)
THEMES: dict[str, dict[str, Any]] = {
    "light": {"color_scheme": "light"},
    "dark": {"color_scheme": "dark"},
    "forced": {"forced_colors": "active"},
}
WIDTHS = {"wide": WIDE, "narrow": NARROW, "smallest": SMALLEST}
ALL = os.environ.get("SYMPOZIUM_TEST_VIEWS") == "all"
_WATCH = """() => {
  const all = [...document.querySelectorAll("a[href], button, input, select, textarea, summary, [tabindex]")].filter((one) =>
    one.tabIndex >= 0 && !one.matches(":disabled") && one.checkVisibility({visibilityProperty: true}));
  const left = new Map(), unseen = new Set();
  for (const one of all) { left.set(one.type === "radio" ? one.name : one, one.outerHTML.slice(0, 120)); }  // Tab reaches one of a group
  document.addEventListener("focusin", ({target}) => {
    left.delete(target.type === "radio" ? target.name : target);
    const seen = [target, target.parentElement].some((one) => {  // a field may be shown by the frame around it
      const style = getComputedStyle(one);
      return style.outlineStyle !== "none" && parseFloat(style.outlineWidth) > 0;
    });
    if (!seen) { unseen.add(target.outerHTML.slice(0, 120)); }
  });
  window.walked = () => ({unreached: [...left.values()], unseen: [...unseen]});
  return left.size;
}"""
"""Watches the focus, and returns the number of elements that Tab has to reach."""


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def furnished(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Console]:
    folder: Path = tmp_path_factory.mktemp("keyboard")
    async with paged_console(folder) as console:
        await furnish(console)
        furnished_instance(console, "seen")
        yield console


def pages_in(theme: str, width: str) -> list[str]:
    """Return the pages of a view: all, or a third of them, so that each page has each theme and each width once."""
    turn = (list(WIDTHS).index(width) - list(THEMES).index(theme)) % len(WIDTHS)
    return [path for place, path in enumerate(PAGES) if ALL or place % len(WIDTHS) == turn]


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("theme", THEMES)
async def test_each_page_is_read_by_everybody_in_each_view(
    furnished: Console, visit: Visit, shoot: Shoot, theme: str, width: str
) -> None:
    visitor = await visit(at=furnished, viewport=WIDTHS[width], **THEMES[theme])
    page = await visitor.open("/about")
    for path in pages_in(theme, width):
        await page.goto(_beside(page, path))
        await expect(page.get_by_role("heading", level=1)).to_be_visible()
        await accessible(page)
        await fits(page)
        name = re.sub(r"\W+", "-", path).strip("-") or "overview"
        await shoot(page, f"{name}-{theme}-{width}")


@pytest.mark.parametrize("half", [0, 1])
async def test_tab_reaches_all_of_each_page_shows_where_it_is_and_is_caught_nowhere(
    furnished: Console, visit: Visit, half: int
) -> None:
    page = await (await visit(at=furnished)).open("/about")
    wrong: dict[str, dict[str, list[str]]] = {}
    for path in PAGES[half::2]:
        await page.goto(_beside(page, path))
        await expect(page.get_by_role("heading", level=1)).to_be_visible()
        count = await page.evaluate(_WATCH)
        for _ in range(count + 2):  # with the end of the page, from where it goes back to the beginning
            await page.keyboard.press("Tab")
        if any((walked := await page.evaluate("window.walked()")).values()):
            wrong[path] = walked
    assert wrong == {}


async def test_one_goes_back_through_all_pages(furnished: Console, visit: Visit) -> None:
    page = await (await visit(at=furnished)).open("/about")
    seen = list[tuple[str, str]]()
    for path in PAGES:
        seen.append((page.url, await page.title()))
        await page.goto(_beside(page, path), wait_until="domcontentloaded")
    for address, title in reversed(seen):
        await page.go_back(wait_until="domcontentloaded")
        assert (page.url, await page.title()) == (address, title)
        await expect(page.get_by_role("heading", level=1)).to_be_visible()


def _beside(page: Page, path: str) -> str:
    """Return the address of another page of the same console."""
    return urljoin(page.url, path)
