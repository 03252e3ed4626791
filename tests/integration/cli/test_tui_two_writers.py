"""Two people who change one instance at once: what one writes is never undone by a key of the other."""

from collections.abc import Callable
from typing import Any

from tests.integration.cli.ui_world import Ui, ui

from sympozium_api.resources import INSTANCES, RUNS, Object

TONE, SEARCH = {"skillPackRef": "tone", "params": {"style": "kind"}}, {"skillPackRef": "search"}


def spec_of(it: Ui) -> Any:
    return it.kubernetes.object(INSTANCES, "assistant", "team-a")["spec"]


def somebody_writes(it: Ui, change: Callable[[Object], Object]) -> None:
    body = it.kubernetes.object(INSTANCES, "assistant", "team-a")
    it.kubernetes.put(body | {"spec": body["spec"] | change(body["spec"])})


async def test_a_skill_that_two_people_switch_on_at_once_is_on() -> None:
    async with ui() as it:
        await it.until("assistant")
        await it.press("s")
        await it.until("[ ]  search")
        it.kubernetes.meanwhile("replace", INSTANCES, lambda: somebody_writes(it, lambda _: {"skills": [TONE, SEARCH]}))
        await it.press("down", "space")
        await it.until("search is on")
        assert spec_of(it)["skills"] == [TONE, SEARCH]


async def test_undo_keeps_what_somebody_else_wrote_into_the_web_endpoint() -> None:
    async with ui() as it:
        await it.until("assistant")
        await it.press("s")
        await it.until("[x]  web-endpoint")
        await it.press("space")
        await it.until("web-endpoint is off")
        somebody_writes(it, lambda _: {"webEndpoint": {"enabled": False, "hostname": "mine", "replicas": 3}})
        await it.press("u")
        await it.until("web-endpoint is on")
        assert spec_of(it)["webEndpoint"] == {"enabled": True, "hostname": "mine", "replicas": 3}


async def test_undo_keeps_params_that_somebody_else_gave_the_skill_since() -> None:
    async with ui() as it:
        await it.until("assistant")
        await it.press("s")
        await it.until("[x]  tone")
        await it.press("down", "down", "space")
        await it.until("tone is off")
        brief = {"skillPackRef": "tone", "params": {"style": "brief"}}
        somebody_writes(it, lambda _: {"skills": [SEARCH, brief]})
        await it.press("u")
        await it.until("tone is on")
        assert spec_of(it)["skills"] == [SEARCH, brief]


async def test_the_form_of_params_writes_only_those_that_were_edited() -> None:
    async with ui() as it:
        both = {"skillPackRef": "tone", "params": {"style": "kind", "length": "short"}}
        await it.until("assistant")
        await it.press("s")
        await it.until("[x]  tone")
        await it.press("down", "down", "p")
        await it.until("Params of tone")
        somebody_writes(it, lambda _: {"skills": [both]})
        await it.press("end", *["backspace"] * 4, *"brief", "ctrl+s")
        await it.until("saved")
        assert spec_of(it)["skills"] == [{"skillPackRef": "tone", "params": {"style": "brief", "length": "short"}}]


async def test_the_form_of_params_does_not_switch_a_skill_on_again() -> None:
    async with ui() as it:
        await it.until("assistant")
        await it.press("s")
        await it.until("[x]  tone")
        await it.press("down", "down", "p")
        await it.until("Params of tone")
        somebody_writes(it, lambda _: {"skills": []})
        await it.press("end", *"er", "ctrl+s")
        await it.until("✗ somebody has switched the skill off meanwhile")
        assert spec_of(it)["skills"] == []


async def test_the_form_of_the_web_endpoint_writes_only_what_was_edited() -> None:
    async with ui() as it:
        await it.until("assistant")
        await it.press("w")
        await it.until("Web endpoint of team-a/assistant")
        theirs = {"enabled": False, "rateLimit": {"requestsPerMinute": 5}}
        somebody_writes(it, lambda _: {"webEndpoint": theirs})
        await it.press("tab", "tab", *"7", "ctrl+s")
        await it.until("✓ saved")
        endpoint = spec_of(it)["webEndpoint"]
        assert (endpoint["enabled"], endpoint["rateLimit"]) == (False, {"requestsPerMinute": 5, "burstSize": 7})


async def test_the_form_of_the_warm_pool_writes_only_what_was_edited() -> None:
    async with ui() as it:
        await it.until("assistant")
        await it.press("p")
        await it.until("Warm pool of team-a/assistant")
        pool = {"size": 2, "max": 9, "idleTTL": "3m"}
        somebody_writes(it, lambda spec: {"agents": {"default": spec["agents"]["default"] | {"warmPool": pool}}})
        await it.press("4", "ctrl+s")
        await it.until("✓ saved")
        assert spec_of(it)["agents"]["default"]["warmPool"] == pool | {"size": 4}


async def test_an_instance_that_somebody_made_anew_meanwhile_is_not_deleted() -> None:
    async with ui() as it:
        await it.until("broken")
        await it.press("down", "x")
        await it.until("Delete broken")
        body = it.kubernetes.object(INSTANCES, "broken", "team-a")
        it.kubernetes.remove(INSTANCES, "broken", "team-a")
        it.kubernetes.put(body | {"metadata": body["metadata"] | {"uid": "another"}})
        await it.write("broken")
        await it.press("enter")
        await it.until("deleted broken")
        assert it.kubernetes.object(INSTANCES, "broken", "team-a")["metadata"]["uid"] == "another"


async def test_a_run_that_somebody_made_anew_meanwhile_is_not_deleted() -> None:
    async with ui() as it:
        await it.until("assistant")
        await it.press("2")
        await it.until("assistant-aaa")
        await it.press("slash", *"assistant-aaa", "enter", "D")
        await it.until("Delete the run assistant-aaa")
        body = it.kubernetes.object(RUNS, "assistant-aaa", "team-a")
        it.kubernetes.remove(RUNS, "assistant-aaa", "team-a")
        it.kubernetes.put(body | {"metadata": body["metadata"] | {"uid": "another"}})
        await it.press("y")
        await it.until("deleted assistant-aaa")
        assert it.kubernetes.object(RUNS, "assistant-aaa", "team-a")["metadata"]["uid"] == "another"
