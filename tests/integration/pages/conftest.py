"""Chromium, and consoles with pages in front of an API server in memory. All tests here run in the session's event loop, because one
Chromium serves them all.

``console`` is one console per module, ``visit`` opens a page of it as a signed-in visitor. A test fails if its browser asks for anything
elsewhere, if a script fails or logs an error, or if the policy of content is violated.
"""

import asyncio
import contextlib
import os
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from cryptography.fernet import Fernet
from playwright.async_api import Browser, BrowserContext, ConsoleMessage, Page, Route, async_playwright, expect
from tests.integration.conftest import eventually
from tests.integration.console.conftest import Console, serving

from sympozium_api import environment
from sympozium_archive.database import Database
from sympozium_console.console_loops import supervised

TOKEN = "secret"  # of the installation, as ``serving`` writes it
WIDE, NARROW = {"width": 1440, "height": 900}, {"width": 390, "height": 844}
SMALLEST = {"width": 320, "height": 640}
"""Width at which WCAG 2.2 wants pages without sideways scrolling (1.4.10)."""
_HERE = Path(__file__).parent
_CACHE = Path(os.environ.get("SYMPOZIUM_CACHE") or Path.home() / ".cache/sympozium")
_AXE = _CACHE / "clients/browser/node_modules/axe-core/axe.min.js"
_EXPECTED = "Failed to load resource: the server responded with a status of"
"""What Chromium logs about every answer from 400 on, which a test may want."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if _HERE in item.path.parents:
            item.add_marker(pytest.mark.asyncio(loop_scope="session"), append=False)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def chromium() -> AsyncIterator[Browser]:
    path = shutil.which("chromium") or shutil.which("google-chrome")
    assert path, "Chromium is needed: local/clients.sh installs it"
    expect.set_options(timeout=60_000)
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(60):
                await browser.close()


@contextlib.asynccontextmanager
async def paged_console(folder: Path, **settings: Any) -> AsyncIterator[Console]:
    """A console with the keys of cookies, whose loops run."""
    (folder / "keys").mkdir()
    (folder / "keys" / environment.COOKIE_KEYS[0]).write_bytes(Fernet.generate_key())
    database = await Database.open_scratch(str(folder / "index.db"))
    async with serving(folder, database, **settings) as console:
        loops = [asyncio.create_task(loop()) for loop in supervised(console.context)]
        await eventually(lambda: console.context.feed.watch_of_instances.is_whole)
        yield console
        for loop in loops:
            loop.cancel()
        await asyncio.gather(*loops, return_exceptions=True)
    await database.close()


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def console(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Console]:
    async with paged_console(tmp_path_factory.mktemp("console")) as console:
        yield console


@dataclass
class Visitor:
    """A browser of its own, with its cookies and its storage, at one console."""

    console: Console
    context: BrowserContext
    faults: list[str] = field(default_factory=list)
    """What must not happen: requests to elsewhere, errors of scripts, violations of the policy."""

    @property
    def url(self) -> str:
        return str(self.console.http.base_url).rstrip("/")

    async def sign_in(self, token: str = TOKEN) -> None:
        """Begin a session without its form, which has tests of its own."""
        answer = await self.context.request.post(
            f"{self.url}/login", form={"token": token}, headers={"Sec-Fetch-Site": "same-origin"}, max_redirects=0
        )
        assert answer.status == 303, await answer.text()

    async def open(self, path: str) -> Page:
        """A new tab at an address of the console."""
        page = await self.context.new_page()
        page.on("pageerror", lambda error: self.faults.append(f"{path}: {error}"))
        page.on("console", lambda message: self._hear(path, message))
        await page.goto(f"{self.url}{path}")
        return page

    def _hear(self, path: str, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning") and not message.text.startswith(_EXPECTED):
            self.faults.append(f"{path}: {message.type}: {message.text}")

    async def leave(self) -> None:
        """Close all tabs. Chromium was seen not to answer to it for minutes: such a context ends with the browser."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(60):
                await self.context.unroute_all(behavior="ignoreErrors")
                await self.context.close()

    async def guard(self, route: Route) -> None:
        """Let requests to the console pass, and refuse all others."""
        if route.request.url.startswith(f"{self.url}/"):
            await route.continue_()
        else:
            self.faults.append(f"asked for {route.request.url}")
            await route.abort()


Visit = Callable[..., Awaitable[Visitor]]


@pytest_asyncio.fixture(loop_scope="session")
async def visit(console: Console, chromium: Browser) -> AsyncIterator[Visit]:
    """Makes a visitor of a console, the module's unless another one is named; signed in with ``token`` unless that is None. Further
    options are those of a browser's context: ``viewport``, ``color_scheme``, ``forced_colors``, ``java_script_enabled``.
    """
    visitors: list[Visitor] = []

    async def make(token: str | None = TOKEN, at: Console | None = None, **options: Any) -> Visitor:
        context = await chromium.new_context(**{"viewport": WIDE, "reduced_motion": "reduce"} | options)
        context.set_default_timeout(60_000)
        visitor = Visitor(at or console, context)
        await context.route("**/*", visitor.guard)
        visitors.append(visitor)
        if token is not None:
            await visitor.sign_in(token)
        return visitor

    yield make
    for visitor in visitors:
        await visitor.leave()
    assert [fault for visitor in visitors for fault in visitor.faults] == []


async def accessible(page: Page) -> None:
    """Assert that axe-core finds nothing wrong with a page, with all of its rules."""
    if not await page.evaluate("'axe' in window"):
        await page.evaluate(_AXE.read_text())
    found = await page.evaluate("async () => (await axe.run(document, {resultTypes: ['violations']})).violations")
    assert [
        (violation["id"], [(node["target"], node["failureSummary"]) for node in violation["nodes"]])
        for violation in found
    ] == []


async def fits(page: Page) -> None:
    """Assert that nothing but a table makes the page wider than the window."""
    widths = await page.evaluate("[document.documentElement.scrollWidth, window.innerWidth]")
    assert widths[0] <= widths[1]


Shoot = Callable[[Page, str], Awaitable[None]]


@pytest.fixture
def shoot() -> Shoot:
    """Writes pictures of pages into the folder that SYMPOZIUM_SCREENSHOTS names, if there is one."""
    folder = os.environ.get("SYMPOZIUM_SCREENSHOTS")

    async def write(page: Page, name: str) -> None:
        if folder:
            await page.screenshot(path=Path(folder) / f"{name}.png", full_page=True)

    return write
