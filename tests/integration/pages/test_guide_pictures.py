"""The pictures of docs/guides/console.md. ``UPDATE_GOLDEN=1`` takes them again; without it the guide must show those that are there."""

import os
import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from tests.integration.console.conftest import Console
from tests.integration.pages.conftest import Visit, paged_console
from tests.integration.pages.runs_world import furnish

from sympozium_api.resources import RUNS
from sympozium_api.timestamps import micro_timestamp

GUIDE = Path(__file__).parents[3] / "docs/guides/console.md"
FOLDER = GUIDE.parent / "pictures"
PAGES = {
    "console-overview": "/",
    "console-web-endpoint": "/instances/default/demo/web-endpoint",
    "console-run-failed": "/runs/default/failed",
}
"""Addresses by the name of their picture."""
MOST_BYTES = 60_000


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def furnished(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Console]:
    folder: Path = tmp_path_factory.mktemp("guide")
    async with paged_console(folder) as console:
        await furnish(console)
        kubernetes = console.kubernetes
        failed = kubernetes.object(RUNS, "failed")
        failed["status"]["error"]["message"] = "The model server is overloaded: try again in a moment."
        kubernetes.put(failed)
        console.clock.advance(60)
        lease = {"holderIdentity": "sympozium-operator-1", "renewTime": micro_timestamp(console.clock.now())}
        about = {"name": "sympozium-operator", "namespace": console.context.settings.namespace}
        kubernetes.put({"kind": "Lease", "metadata": about, "spec": lease | {"leaseDurationSeconds": 15}})
        yield console


@pytest.mark.parametrize("name", PAGES)
async def test_the_guide_has_its_pictures(furnished: Console, visit: Visit, name: str) -> None:
    file = FOLDER / f"{name}.jpg"
    page = await (await visit(at=furnished, viewport={"width": 1100, "height": 720})).open(PAGES[name])
    await page.get_by_role("heading", level=1).wait_for()
    if os.environ.get("UPDATE_GOLDEN"):
        FOLDER.mkdir(exist_ok=True)
        await page.screenshot(path=file, type="jpeg", quality=55)
    assert file.stat().st_size <= MOST_BYTES
    assert re.search(rf"!\[[^\]]+\]\(pictures/{name}\.jpg\)", GUIDE.read_text())
