"""Keys about an instance."""

import asyncio
from typing import Any

import pytest
from tests.fakes.kubernetes import api_error
from tests.integration.cli.ui_world import Ui, a_cluster, covers, ui
from tests.unit.cli.test_kubectl_processes import wait_until_gone

from sympozium_api.resources import INSTANCES, Object
from sympozium_cli.tui.screens.form import FormScreen


def spec_of(it: Ui, name: str = "assistant") -> Any:
    return it.kubernetes.object(INSTANCES, name, "team-a")["spec"]


@covers("instances", "Enter")
async def test_enter_shows_an_instance_in_full_and_keeps_it_live() -> None:
    async with ui() as it:
        await it.until("assistant")
        await it.press("enter")
        await it.until("keys in Secret assistant-key", "tone  style=kind", "Failed model_error", "60 requests a minute")
        it.kubernetes.put(it.kubernetes.object(INSTANCES, "assistant", "team-a") | {"status": {"phase": "Pending"}})
        await it.until("○ Pending")


@covers("instances", "s")
@covers("skills of an instance", "Space")
@covers("skills of an instance", "u")
async def test_space_switches_a_skill_at_once_and_u_takes_it_back() -> None:
    async with ui() as it:
        await it.until("assistant")
        await it.press("down", "down", "s")
        await it.until("Skills of team-a/helper", "> [ ]  web-endpoint", "[ ]  tone")
        await it.press("space")
        await it.until("> [x]  web-endpoint", "saved", "web-endpoint is on; u takes it back")
        assert spec_of(it, "helper")["webEndpoint"]["enabled"] is True
        await it.press("u")
        await it.until("> [ ]  web-endpoint", "web-endpoint is off")
        assert not spec_of(it, "helper").get("webEndpoint", {}).get("enabled")
        await it.press("u")
        await it.until("nothing to undo")


async def test_undo_gives_a_skill_its_params_and_its_position_back() -> None:
    async with ui() as it:
        await it.until("assistant")
        await it.press("s")
        await it.until("tone")
        await it.press("down", "space")
        await it.until("search is on")
        await it.press("down", "space")
        await it.until("tone is off")
        assert spec_of(it)["skills"] == [{"skillPackRef": "search"}]
        await it.press("u")
        await it.until("tone is on")
        assert spec_of(it)["skills"] == [
            {"skillPackRef": "tone", "params": {"style": "kind"}},
            {"skillPackRef": "search"},
        ]


async def test_a_switch_that_is_refused_says_why_and_the_list_shows_what_is() -> None:
    async with ui() as it:
        await it.until("assistant")
        await it.press("s")
        await it.until("web-endpoint")
        it.kubernetes.refuse("replace", INSTANCES, api_error(403, "Forbidden", "policy says no"))
        await it.press("space")
        await it.until("> [x]  web-endpoint", "✗ policy says no")


async def test_a_switch_meets_another_writer_and_loses_nothing() -> None:
    async with ui() as it:
        await it.until("assistant")
        await it.press("s")
        await it.until("web-endpoint")

        def someone_else() -> None:
            body = it.kubernetes.object(INSTANCES, "assistant", "team-a")
            it.kubernetes.put(body | {"spec": body["spec"] | {"maxConcurrentRuns": 3}})

        it.kubernetes.meanwhile("replace", INSTANCES, someone_else)
        await it.press("space")
        await it.until("web-endpoint is off")
        assert spec_of(it)["maxConcurrentRuns"] == 3


@covers("skills of an instance", "p")
@covers("forms", "Ctrl+S")
async def test_params_of_a_skill_are_a_form() -> None:
    async with ui() as it:
        await it.until("assistant")
        await it.press("s")
        await it.until("tone")
        await it.press("p")
        await it.until("the skill has no params")
        await it.press("down", "p")
        await it.until("the skill is off")
        await it.press("down", "p")
        await it.until("Params of tone", "how to speak (default: plain)")
        await it.press("end", *["backspace"] * 4, *"brief", "ctrl+s")
        await it.until("saved")
        assert spec_of(it)["skills"] == [{"skillPackRef": "tone", "params": {"style": "brief"}}]
        await it.press("escape")
        await it.until("style=brief")


@covers("instances", "w")
@covers("forms", "Tab")
@covers("forms", "Space")
async def test_the_form_of_the_web_endpoint_saves_its_four_values() -> None:
    async with ui() as it:
        await it.until("assistant")
        await it.press("w")
        await it.until("Web endpoint of team-a/assistant", "[x] on", "http://assistant.team-a.svc:8080")
        await it.press("space", "tab", "x", "ctrl+s")
        await it.until("write a whole number from 1 to 1000000")
        await it.press("backspace", *"120", "enter", *"7", "down", *"a1", "ctrl+s")
        await it.until("✓ saved")
        endpoint = spec_of(it)["webEndpoint"]
        assert (endpoint["enabled"], endpoint["hostname"]) == (False, "a1")
        assert endpoint["rateLimit"] == {"requestsPerMinute": 120, "burstSize": 7}
        await it.press("ctrl+k", "y")
        assert it.app.clipboard == "kubectl --context=kind sympozium disable assistant -n team-a"


@covers("instances", "p")
async def test_the_form_of_the_warm_pool() -> None:
    async with ui() as it:
        await it.until("assistant")
        await it.press("p")
        await it.until("Warm pool of team-a/assistant", "0 idle now")
        await it.press("3", "tab", "2", "ctrl+s")
        await it.until("max must be at least size")
        await it.press("backspace", "5", "ctrl+s")
        await it.until("✓ saved")
        pool = spec_of(it)["agents"]["default"]["warmPool"]
        assert (pool["size"], pool["max"]) == (3, 5)


@covers("instances", "v")
async def test_v_shows_the_runs_of_an_instance_and_escape_returns_to_it() -> None:
    async with ui() as it:
        await it.until("helper")
        await it.press("down", "down", "v")
        await it.until("of team-a/helper", "helper-ddd", absent=["assistant-aaa"])
        await it.press("escape")
        await it.until("Instances  3", "> helper")


@covers("instances", "R")
async def test_a_task_becomes_a_run_that_is_shown() -> None:
    async with ui() as it:
        await it.until("assistant")
        await it.press("R")
        await it.write("count to 3")
        await it.press("enter")
        await it.until("Run team-a/assistant-", "count to 3", "○ Pending")
        assert [verb for verb, plural, _ in it.kubernetes.writes if plural == "agentruns"] == ["create"]


@covers("instances", "x")
async def test_an_instance_is_deleted_once_its_name_is_typed() -> None:
    async with ui() as it:
        await it.until("broken")
        await it.press("down", "x")
        await it.write("helper")
        await it.press("enter")
        await it.until("type broken to delete it")
        await it.press(*["backspace"] * 6, *"broken", "enter")
        await it.until("deleted broken", absent=["> broken"])
        assert ("delete", "sympoziuminstances", "broken") in it.kubernetes.writes


@covers("instances", "y")
async def test_y_shows_the_yaml() -> None:
    async with ui() as it:
        await it.until("assistant")
        await it.press("y")
        await it.until("kind: SympoziumInstance", "model: gpt-5-mini", absent=["managedFields"])


@covers("instances", "d")
async def test_d_shows_what_kubectl_describes(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    kubectl = tmp_path / "kubectl"
    kubectl.write_text('#!/bin/sh\nprintf "described \\033[31m%s\\n" "$*"\n')
    kubectl.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    async with ui() as it:
        await it.until("assistant")
        await it.press("d")
        await it.until("described --context=kind describe instance assistant -n team-a")
        await it.press("escape")
        kubectl.write_text("#!/bin/sh\necho 'no such thing' >&2\nexit 1\n")
        await it.press("d")
        await it.until("✗ no such thing")


async def test_a_describe_that_nobody_waits_for_leaves_no_kubectl(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    kubectl, pid = tmp_path / "kubectl", tmp_path / "pid"
    kubectl.write_text(f"#!/bin/sh\necho $$ >{pid}\nexec sleep 600\n")
    kubectl.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    async with ui() as it:
        await it.until("assistant")
        await it.press("d")
        await it.until("Describe team-a/assistant")
        async with asyncio.timeout(60):
            while not pid.exists() or not pid.read_text().strip():
                await asyncio.sleep(0.01)
        await it.press("escape")
        await it.until("Instances  3")
    await asyncio.to_thread(wait_until_gone, int(pid.read_text()))


@covers("instances", "e")
@covers("questions", "y")
@covers("questions", "n")
async def test_an_edit_shows_its_differences_and_is_saved_when_confirmed() -> None:
    async with ui() as it:
        await it.until("assistant")
        it.edits += [lambda text: text, lambda text: text.replace("gpt-5-mini", "gpt-6")] * 2
        await it.press("e")
        await it.until("nothing was changed")
        await it.press("e")
        await it.until("A dry run accepts it", "-      model: gpt-5-mini", "+      model: gpt-6")
        await it.press("n")
        await it.until("nothing was saved")
        assert it.kubernetes.writes == []
        it.edits.pop(0)
        await it.press("e")
        await it.until("A dry run accepts it")
        await it.press("y")
        await it.until("saved assistant")
        assert spec_of(it)["agents"]["default"]["model"] == "gpt-6"


@pytest.mark.parametrize(
    ("edit", "why"),
    [
        (lambda text: text.replace("spec:", "spek:"), "strict decoding error"),
        (lambda text: text.replace("skills:", "maxConcurrentRuns: 0\n  skills:"), "maxConcurrentRuns"),
        (lambda text: text.replace("name: assistant", "name: another"), "metadata.name cannot be edited"),
        (lambda _text: "{", "this is not YAML"),
        (lambda _text: "", "this is not an object"),
    ],
)
async def test_an_edit_that_is_refused_says_why(edit: Any, why: str) -> None:
    async with ui() as it:
        await it.until("assistant")
        it.edits.append(edit)
        await it.press("e")
        await it.until("✗", why)
        assert it.kubernetes.writes == []


async def test_an_edit_survives_a_status_report_but_not_another_writer() -> None:
    async with ui() as it:
        await it.until("assistant")

        def report(text: str) -> str:
            change({"status": {"phase": "Pending"}})
            return text.replace("gpt-5-mini", "gpt-6")

        def write(text: str) -> str:
            change({"spec": {"maxConcurrentRuns": 7}})
            return text.replace("gpt-6", "gpt-7")

        def change(body: Object) -> None:
            kept = it.kubernetes.object(INSTANCES, "assistant", "team-a")
            it.kubernetes.put({**kept, **{name: {**kept[name], **body[name]} for name in body}})

        it.edits += [report, write]
        await it.press("e")
        await it.until("A dry run accepts it")
        await it.press("y")
        await it.until("saved assistant")
        await it.press("e")
        await it.until("A dry run accepts it")
        await it.press("y")
        await it.until("somebody else has changed it meanwhile")
        assert spec_of(it)["agents"]["default"]["model"] == "gpt-6"


@covers("instances", "a")
async def test_a_new_instance_is_written_in_the_editor() -> None:
    async with ui(namespace="team-a") as it:
        await it.until("assistant")
        it.edits.append(lambda text: text.replace("name: assistant", "name: fresh"))
        await it.press("a")
        await it.until("kind: SympoziumInstance", "create")
        await it.press("y")
        await it.until("created fresh", "fresh")
        assert spec_of(it, "fresh")["webEndpoint"]["enabled"] is True


async def test_keys_without_a_selected_object_do_nothing() -> None:
    cluster = a_cluster()
    for name in ("assistant", "broken", "helper"):
        cluster.remove(INSTANCES, name, "team-a")
    async with ui(cluster) as it:
        await it.until("No instances in all namespaces", "Press a to make one")
        await it.press("enter", "s", "w", "c", "R", "p", "v", "d", "y", "e", "x")
        await it.until("No instances in all namespaces")
        assert not isinstance(it.screen, FormScreen)
