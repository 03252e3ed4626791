"""The first page and usage: figures, their links, charts with tables, CSV."""

import csv
import io
import re
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest
import pytest_asyncio
from tests.fakes.callers import account_token
from tests.integration.conftest import instance
from tests.integration.console.conftest import Console
from tests.integration.pages.conftest import paged_console
from tests.integration.pages.runs_world import furnish
from tests.integration.pages.test_runs_html import page

BROKEN = {
    "metadata": {"name": "broken", "namespace": "default"},
    "status": {
        "phase": "Error",
        "conditions": [
            {
                "type": "Accepted",
                "status": "False",
                "reason": "Invalid",
                "message": "the Secret <b>keys</b> does not exist",
                "observedGeneration": 1,
                "lastTransitionTime": "2026-01-01T00:00:00Z",
            }
        ],
    },
}


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def furnished(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Console]:
    folder: Path = tmp_path_factory.mktemp("usage")
    async with paged_console(folder) as console:
        console.kubernetes.put(instance() | BROKEN)
        await furnish(console)
        console.clock.advance(60)
        yield console


class TestTheOverview:
    async def test_has_figures_and_troubles_that_lead_to_their_lists(self, furnished: Console) -> None:
        html = await page(furnished, "/")
        figures = re.findall(r'figure-card" href="([^"]+)".*?class="figure[ "][^>]*>([^<]+)<', html, re.DOTALL)
        assert figures == [
            ("/instances?phase=Error", "1"),
            ("/runs?phase=Failed&amp;since=1h", "2"),
            ("/runs?phase=Pending", "1"),
            ("/runs?phase=Running", "1"),
            ("/usage", "0 %"),
        ]
        assert "the Secret &lt;b&gt;keys&lt;/b&gt; does not exist" in html
        assert 'href="/runs?phase=Failed&amp;since=1h&amp;error=model_error"' in html
        assert "No operator has ever worked." in html
        for age, is_told in ((10, False), (90, True)):
            renewed = (furnished.clock.now() - timedelta(seconds=age)).isoformat()
            lease = {"kind": "Lease", "metadata": {"name": "sympozium-operator", "namespace": "sympozium-system"}}
            furnished.kubernetes.put(lease | {"spec": {"leaseDurationSeconds": 15, "renewTime": renewed}})
            assert ("its lease is 90 s old" in await page(furnished, "/")) is is_told
        now = furnished.clock.now().isoformat()
        spec = {"leaseDurationSeconds": 15, "renewTime": now, "holderIdentity": "operator-1/2"}
        furnished.kubernetes.put(lease | {"spec": spec})
        assert "No operator has ever worked on shard 1 of 2." in await page(furnished, "/")
        for address, _ in figures:
            await page(furnished, address.replace("&amp;", "&"))

    async def test_of_an_account_without_rights_says_what_is_missing(self, furnished: Console) -> None:
        token = {"Authorization": f"Bearer {account_token(furnished.issuer, 'team', 'nobody')}"}
        for path in ("/", "/usage"):
            html = await page(furnished, path, headers=token)
            assert "list agentruns.sympozium.ai" in html
            assert "broken" not in html


class TestUsage:
    async def test_has_sums_charts_with_tables_and_groups_that_lead_to_their_runs(self, furnished: Console) -> None:
        html = await page(furnished, "/usage")
        for chart in ("Runs", "Tokens", "Waited for the start", "First token", "Duration"):
            assert f'aria-label="{chart}, numbers"' in html, chart
        assert 'href="/runs?namespace=default&amp;instance=demo&amp;since=24h"' in html
        assert "4\u202f800" in html
        assert "700 ms" in html
        by_error = await page(furnished, "/usage?by=error&from=1h")
        assert 'href="/runs?error=model_error&amp;since=1h"' in by_error
        assert "No runs in this time" in await page(
            furnished, "/usage?from=2020-01-01T00:00:00Z&to=2020-01-02T00:00:00Z"
        )
        assert "must be before to" in await page(furnished, "/usage?from=1h&to=2h", 400)

    async def test_as_csv_has_a_row_per_time_and_group(self, furnished: Console) -> None:
        answer = await furnished.request("GET", "/usage.csv?by=instance&bucket=1h")
        assert answer.headers["content-type"].startswith("text/csv")
        assert "attachment" in answer.headers["content-disposition"]
        rows = list(csv.DictReader(io.StringIO(answer.text)))
        assert {row["instance"]: row["runs"] for row in rows} == {"default/demo": "5", "team/demo": "1"}
        assert rows[0]["bucket"] == "2026-01-01T00:00:00Z"
