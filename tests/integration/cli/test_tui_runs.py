"""Keys about a run, and the views of packs, configs, events and usage."""

from typing import Any

from tests.integration.cli.ui_world import a_cluster, covers, run, ui

from sympozium_api.resources import RUNS


@covers("runs", "Enter")
async def test_enter_shows_question_answer_and_timeline() -> None:
    async with ui(size=(100, 40)) as it:
        await it.press("2")
        await it.until("assistant-aaa")
        await it.press("down", "down", "enter")
        text = await it.until("Run team-a/assistant-aaa", "What is a pod?", "A pod is a group of containers:", "• one")
        assert "first token" in text
        assert "+300ms" in text
        assert "420 in, 81 out" in text


async def test_a_failed_run_says_why_and_what_helps() -> None:
    async with ui(size=(100, 40)) as it:
        await it.press("2")
        await it.until("✗ Failed model_error")
        await it.press("down", "down", "down", "enter")
        await it.until(
            "the model refused: quota", "→ The model server refused the request.", "Failed  AgentRun/assistant-bbb"
        )


async def test_an_open_run_is_shown_as_it_ends() -> None:
    async with ui() as it:
        await it.press("2")
        await it.until("assistant-ccc")
        await it.press("down", "enter")
        await it.until("▶ Running")
        it.kubernetes.put(run("assistant-ccc", ago=5, status={"result": "the end"}))
        await it.until("✓ Succeeded", "the end")
        it.kubernetes.remove(RUNS, "assistant-ccc", "team-a")
        await it.until("the run was deleted; this is its last state", "the end")


@covers("runs", "l")
async def test_l_shows_the_log_of_the_pod() -> None:
    cluster = a_cluster()
    cluster.logs["assistant-bbb-1234-x"] = '{"event":"begins"}\n\x1b[31m{"event":"model refused"}\n'
    async with ui(cluster) as it:
        await it.press("2")
        await it.until("assistant-bbb")
        await it.press("down", "down", "down", "l")
        await it.until("Log of team-a/assistant-bbb-1234-x", '{"event":"model refused"}', "(end of the log)")
        await it.press("slash")
        await it.write("refused")
        await it.press("enter")
        await it.until("refused", absent=["begins"])
        await it.press("ctrl+k", "y")
        assert it.app.clipboard == "kubectl --context=kind logs assistant-bbb-1234-x -n team-a -c agent"


async def test_a_log_that_is_gone_says_what_keeps_it_longer() -> None:
    async with ui() as it:
        await it.press("2")
        await it.until("helper-ddd")
        await it.press("l")
        await it.until("the run has no pod yet")
        await it.press("down", "l")
        await it.until("the pod is gone", "runs.failedJobRetention")


@covers("runs", "E")
async def test_the_events_of_a_run() -> None:
    async with ui() as it:
        await it.press("2")
        await it.until("assistant-bbb")
        await it.press("down", "down", "down", "E")
        await it.until("Events of assistant-bbb", "the model refused: quota", absent=["Secret openai"])


@covers("runs", "f")
async def test_f_goes_through_the_phases() -> None:
    async with ui() as it:
        await it.press("2")
        await it.until("helper-ddd")
        seen = []
        for _ in range(7):
            await it.press("f")
            seen.append(it.current.phase)  # type: ignore[attr-defined]
        assert seen == ["Pending", "Running", "Serving", "Succeeded", "Failed", "Cancelled", ""]
        await it.press(*["f"] * 5)
        await it.until("assistant-bbb", "filter: Failed", absent=["assistant-aaa"])
        await it.press("escape")
        await it.until("assistant-aaa", absent=["filter:"])


@covers("runs", "F")
async def test_the_cursor_follows_the_newest_run() -> None:
    async with ui() as it:
        await it.press("2")
        await it.until("helper-ddd")
        await it.press("F")
        await it.until("following the newest")
        it.kubernetes.put(run("newest", ago=0, phase="Running"))
        await it.until("> ▶ Running")
        assert it.current.target() == ("team-a", "newest")
        await it.press("F")
        it.kubernetes.put(run("still-newer", ago=-1, phase="Running"))
        await it.until("still-newer")
        assert it.current.target() == ("team-a", "newest")


@covers("runs", "R")
async def test_a_run_is_repeated() -> None:
    async with ui() as it:
        await it.press("2")
        await it.until("assistant-aaa")
        await it.press("down", "down", "R")
        await it.until("Run team-a/assistant-", "What is a pod?", "○ Pending")
        created = [name for verb, plural, name in it.kubernetes.writes if (verb, plural) == ("create", "agentruns")]
        assert it.kubernetes.object(RUNS, created[0], "team-a")["spec"]["task"] == "What is a pod?"


@covers("runs", "x")
async def test_an_open_run_is_cancelled_once_confirmed() -> None:
    async with ui() as it:
        await it.press("2")
        await it.until("assistant-ccc")
        await it.press("down", "x", "n")
        assert it.kubernetes.writes == []
        await it.press("x", "y")
        await it.until("cancelling assistant-ccc")
        assert it.kubernetes.object(RUNS, "assistant-ccc", "team-a")["spec"]["cancel"] is True
        await it.press("down", "x")
        await it.until("the run has ended already: Succeeded")
        await it.press("end", "x")
        await it.until("this is the server of a web endpoint")


@covers("runs", "D")
async def test_a_run_is_deleted_once_confirmed() -> None:
    async with ui() as it:
        await it.press("2")
        await it.until("assistant-aaa")
        await it.press("down", "down", "D", "y")
        await it.until("deleted assistant-aaa")
        assert ("delete", "agentruns", "assistant-aaa") in it.kubernetes.writes


@covers("runs", "i")
async def test_i_shows_the_instance_of_a_run() -> None:
    async with ui() as it:
        await it.press("2")
        await it.until("helper-ddd")
        await it.press("i")
        await it.until("Instance team-a/helper")


@covers("runs", "d")
@covers("runs", "y")
@covers("skills", "d")
@covers("skills", "y")
@covers("config", "d")
@covers("config", "y")
async def test_every_kind_is_described_and_shown_as_yaml(tmp_path: Any, monkeypatch: Any) -> None:
    kubectl = tmp_path / "kubectl"
    kubectl.write_text('#!/bin/sh\necho "$*"\n')
    kubectl.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    async with ui() as it:
        for view, kind, resource in (
            ("2", "AgentRun", "run"),
            ("3", "SkillPack", "skillpack"),
            ("4", "SympoziumConfig", ""),
        ):
            await it.press(view)
            await it.until("> ")
            await it.press("y")
            await it.until(f"kind: {kind}")
            await it.press("escape", "d")
            await it.until(f"describe {resource or 'sympoziumconfig'} ")
            await it.press("escape")


@covers("skills", "Enter")
@covers("config", "Enter")
@covers("events", "Enter")
async def test_the_other_views_show_their_objects_in_full() -> None:
    async with ui() as it:
        await it.press("3")
        await it.until("tone", "use it for tone")
        await it.press("end", "enter")
        await it.until("SkillPack team-a/tone", "team-a/assistant", "how to speak (default: plain)", "Do it well.")
        await it.press("4")
        await it.until("default", "agents.example.com", "✓ yes")
        await it.press("enter")
        await it.until("ASKED FOR", "AS IT IS", "10.0.0.7")
        await it.press("5")
        await it.until("! Warning", absent=["Pulled"])
        await it.press("enter")
        await it.until("AgentRun team-a/assistant-bbb", "the model refused: quota")


@covers("skills", "e")
@covers("config", "e")
async def test_packs_and_configs_are_edited() -> None:
    async with ui() as it:
        for view in ("3", "4"):
            await it.press(view)
            await it.until("> ")
            it.edits.append(
                lambda text: text.replace("use it", "use this").replace("agents.example.com", "example.org")
            )
            await it.press("e")
            await it.until("A dry run accepts it")
            await it.press("y")
            await it.until("saved")
        assert [plural for verb, plural, _ in it.kubernetes.writes] == ["skillpacks", "sympoziumconfigs"]


@covers("usage", "b")
@covers("usage", "Enter")
async def test_usage_is_summed_up_by_four_groups_that_lead_to_their_runs() -> None:
    async with ui() as it:
        await it.press("6")
        await it.until("team-a/assistant", "100%", "840", "since")
        for group in ("by model", "by source", "by error", "by instance"):
            await it.press("b")
            await it.until(group)
        await it.press("enter")
        await it.until("Runs  4 of 5", "of team-a/assistant")
        await it.press("6")
        await it.until("team-a/assistant")
        await it.press("b", "b", "b")
        await it.until("model_error")
        await it.press("end", "enter")
        await it.until("filter:")
