"""The pages of runs as HTML: states, filters, escaping, rights and changes."""

import re
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import urlencode

import httpx2
import pytest_asyncio
from tests.fakes.callers import account_token, grant, user_of
from tests.integration.console.conftest import Console
from tests.integration.pages.conftest import paged_console
from tests.integration.pages.runs_world import agent_run, ended, furnish

from sympozium_api.resources import RUNS

SAME_SITE = {"Sec-Fetch-Site": "same-origin"}


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def furnished(tmp_path_factory: "object") -> AsyncIterator[Console]:
    folder: Path = tmp_path_factory.mktemp("runs")  # type: ignore[attr-defined]
    async with paged_console(folder) as console:
        await furnish(console)
        yield console


async def page(console: Console, path: str, status: int = 200, **options: object) -> str:
    answer: httpx2.Response = await console.request("GET", path, **options)
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"].startswith("text/html")
    return answer.text


def runs_in(html: str) -> list[str]:
    return re.findall(r'<tr id="([^"]+)"', html)


class TestTheList:
    async def test_has_the_newest_first_with_numbers_per_phase(self, furnished: Console) -> None:
        html = await page(furnished, "/runs")
        expected = [
            "team.elsewhere",
            *(f"default.{name}" for name in ("waits", "goes-on", "failed", "hostile", "answered")),
        ]
        assert runs_in(html) == expected
        facets = re.findall(
            r'href="([^"]*)"[^>]*>(?:<span class="phase[^>]*>.*?</svg>)?(\w+)(?:</span>)? <span>(\d+)', html
        )
        assert {phase: count for _, phase, count in facets} == {
            "All": "6", "Pending": "1", "Running": "1", "Succeeded": "2", "Failed": "2", "Cancelled": "0"
        }  # fmt: skip
        assert "1\u202f200 / 34" in html

    async def test_is_filtered_by_the_address_and_paged(self, furnished: Console) -> None:
        for query, found in (
            ("namespace=team", ["team.elsewhere"]),
            ("phase=Failed&namespace=default", ["default.failed"]),
            ("q=OST", ["default.hostile"]),
            ("session=chat-1", ["default.hostile"]),
            ("error=model_error&until=2026-01-01T00:00:05Z", ["default.failed"]),
            ("since=2026-01-01T00:00:06Z", ["team.elsewhere"]),
            ("phase=Serving", ["default.demo-web-endpoint"]),
        ):
            assert runs_in(await page(furnished, f"/runs?{query}")) == found, query
        first = await page(furnished, "/runs?limit=4")
        older = re.search(r'rel="next" href="([^"]+)"', first)
        assert older
        assert runs_in(await page(furnished, older[1].replace("&amp;", "&"))) == ["default.hostile", "default.answered"]

    async def test_says_what_hides_all_runs_and_refuses_what_it_does_not_know(self, furnished: Console) -> None:
        assert "No runs match" in await page(furnished, "/runs?q=nowhere")
        assert "nonsense" in await page(furnished, "/runs?nonsense=1", 400)
        assert "duration such as 1h" in await page(furnished, "/runs?since=yesterday", 400)

    async def test_peeks_at_a_run_beside_the_rows(self, furnished: Console) -> None:
        html = await page(furnished, "/runs?peek=default/failed&phase=Failed")
        assert len(runs_in(html)) == 2
        assert "the model says 500" in html
        assert 'href="/runs?phase=Failed&amp;peek=team%2Felsewhere"' in html

    async def test_shows_a_service_account_its_own_namespace_and_one_without_rights_what_is_missing(
        self, furnished: Console
    ) -> None:
        grant(furnished.kubernetes, user_of("team", "viewer"), "team", verbs=("list",), plurals=("agentruns/summary",))
        furnished.kubernetes.put({"kind": "Namespace", "metadata": {"name": "team"}})
        token = {"Authorization": f"Bearer {account_token(furnished.issuer, 'team', 'viewer')}"}
        assert runs_in(await page(furnished, "/runs?namespace=team", headers=token)) == ["team.elsewhere"]
        assert "list AgentRun in namespace default" in await page(
            furnished, "/runs?namespace=default", 403, headers=token
        )
        nobody = {"Authorization": f"Bearer {account_token(furnished.issuer, 'team', 'nobody')}"}
        assert "list agentruns.sympozium.ai" in await page(furnished, "/runs", headers=nobody)


class TestTheRun:
    async def test_says_why_it_failed_and_what_helps(self, furnished: Console) -> None:
        html = await page(furnished, "/runs/default/failed")
        for words in (
            "model_error",
            "the model says 500",
            "overloaded",
            "The model server refused the request",
            "ended without an answer",
        ):
            assert words in html, words
        log = await page(furnished, "/runs/default/failed?tab=log")
        assert "model refused" in log
        assert "kubectl -n default logs failed-" in log
        assert "RunFailed" in await page(furnished, "/runs/default/failed?tab=events")
        assert "kind: AgentRun" in await page(furnished, "/runs/default/failed?tab=yaml")

    async def test_has_timeline_question_answer_steps_and_facts(self, furnished: Console) -> None:
        html = await page(furnished, "/runs/default/answered")
        for words in (
            "First token",
            "700 ms",
            "Say hello.",
            "<strong>formatted</strong>",
            "smollm2",
            "cold",
            "Complete",
            'class="stage-answers"',
        ):
            assert words in html, words
        assert "<strong>formatted</strong>" not in await page(furnished, "/runs/default/answered?answer=plain")
        hostile = await page(furnished, "/runs/default/hostile")
        for words in ("look_up", "430" if False else "30 ms", "chat-1", "1 tool offered", "Be kind."):
            assert words in hostile, words

    async def test_of_hostile_texts_runs_nothing(self, furnished: Console) -> None:
        for path in (
            "hostile",
            "hostile?answer=plain",
            "hostile?answer=json",
            "failed",
            "failed?tab=log",
            "failed?tab=events",
            "failed?tab=yaml",
        ):
            html = await page(furnished, f"/runs/default/{path}")
            assert "evil" in html, path
            assert "<img" not in html, path
            assert "alert(2)</script>" not in html, path
            assert "<b>" not in html, path

    async def test_without_its_content_for_those_who_may_see_summaries_alone(self, furnished: Console) -> None:
        grant(furnished.kubernetes, user_of("team", "sums"), "default", verbs=("get",), plurals=("agentruns/summary",))
        token = {"Authorization": f"Bearer {account_token(furnished.issuer, 'team', 'sums')}"}
        for path in ("", "?tab=yaml"):
            html = await page(furnished, f"/runs/default/hostile{path}", headers=token)
            assert "evil" not in html
            assert "takes get agentruns" in html
            assert '<strong aria-current="true">' not in html  # the turns of the conversation are a list
        body = (await furnished.request("GET", "/api/v1/runs/hostile", headers=token)).text
        assert "evil" not in body
        assert "pods/log" in await page(furnished, "/runs/default/failed?tab=log", headers=token)
        html = await page(furnished, "/runs/default/goes-on", headers=token)
        assert re.search(r'popovertarget="do-cancel" data-key="c" disabled title="[^"]*patch agentruns', html)

    async def test_that_is_not_there_is_404(self, furnished: Console) -> None:
        assert "Neither Kubernetes nor the archive" in await page(furnished, "/runs/default/nothing", 404)
        await page(furnished, "/runs/default/failed?tab=nonsense", 400)


class TestChanges:
    async def test_of_one_run_lead_to_what_came_of_them(self, furnished: Console) -> None:
        furnished.kubernetes.put(agent_run("one", 7))
        form = {"data": {"x": "y"}, "headers": SAME_SITE}
        cancelled = await furnished.request("POST", "/runs/default/one/cancel", **form)
        assert (cancelled.status_code, cancelled.headers["location"]) == (303, "/runs/default/one")
        assert furnished.kubernetes.object(RUNS, "one")["spec"]["cancel"] is True
        repeated = await furnished.request("POST", "/runs/default/answered/repeat", **form)
        assert repeated.status_code == 303, repeated.text
        name = repeated.headers["location"].rpartition("/")[2]
        assert furnished.kubernetes.object(RUNS, name)["spec"]["agentRef"] == "demo"
        for gone in ("one", name):
            deleted = await furnished.request("POST", f"/runs/default/{gone}/delete", **form)
            assert (deleted.status_code, deleted.headers["location"]) == (303, "/runs?namespace=default")
        refused = await furnished.request("POST", "/runs/default/answered/cancel", **form)
        assert (refused.status_code, "already ended" in refused.text) == (409, True)
        assert (await furnished.request("POST", "/runs/default/answered/explode", **form)).status_code == 404

    async def test_of_selected_runs_are_confirmed_and_each_says_what_came_of_it(self, furnished: Console) -> None:
        furnished.kubernetes.put(agent_run("many-1", 8))
        furnished.kubernetes.put(agent_run("many-2", 8) | ended(8))
        form = [("run", "default/many-1"), ("run", "default/many-2"), ("action", "cancel"), ("back", "/runs?q=many")]
        asked = await post(furnished, "/runs/selected", form)
        assert "Cancel 2 runs?" in asked.text
        assert "kubectl -n default patch agentrun many-1" in asked.text
        assert furnished.kubernetes.object(RUNS, "many-1")["spec"]["cancel"] is False
        done = await post(furnished, "/runs/selected", [*form, ("confirmed", "yes")])
        assert "1 of 2 cancelled" in done.text
        assert "already ended" in done.text
        assert 'href="/runs?q=many"' in done.text
        assert furnished.kubernetes.object(RUNS, "many-1")["spec"]["cancel"] is True
        for wrong in (
            [("action", "cancel")],
            [("action", "explode"), ("run", "default/x")],
            [("action", "cancel"), ("run", "../x")],
        ):
            assert (await post(furnished, "/runs/selected", wrong)).status_code == 400
        for name in ("many-1", "many-2"):
            furnished.kubernetes.remove(RUNS, name)

    async def test_take_the_right_of_the_runs_namespace(self, furnished: Console) -> None:
        grant(furnished.kubernetes, user_of("team", "cancels"), "team")
        token = {"Authorization": f"Bearer {account_token(furnished.issuer, 'team', 'cancels')}"}
        refused = await furnished.request(
            "POST", "/runs/default/goes-on/cancel", data={"x": "y"}, headers=SAME_SITE | token
        )
        assert (refused.status_code, "patch AgentRun in namespace default" in refused.text) == (403, True)
        form = [("run", "default/goes-on"), ("action", "delete"), ("confirmed", "yes")]
        assert "0 of 1 deleted" in (await post(furnished, "/runs/selected", form, **token)).text
        assert furnished.kubernetes.object(RUNS, "goes-on")


async def post(console: Console, path: str, fields: list[tuple[str, str]], **headers: str) -> httpx2.Response:
    kind = {"Content-Type": "application/x-www-form-urlencoded"}
    return await console.request("POST", path, content=urlencode(fields), headers=SAME_SITE | kind | headers)
