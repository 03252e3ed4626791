"""What stands in the place of rows, and what the UI costs."""

import time

import pytest
from tests.fakes.kubernetes import FakeKubernetes, api_error
from tests.integration.cli.ui_world import a_cluster, instance, run, ui

from sympozium_api.resources import INSTANCES, RUNS


def empty_cluster() -> FakeKubernetes:
    kubernetes = FakeKubernetes()
    kubernetes.documents["/version"] = {}
    return kubernetes


async def test_a_missing_right_is_named_with_the_way_to_check_it() -> None:
    kubernetes = a_cluster()
    kubernetes.refuse("list", INSTANCES, *[api_error(403, "Forbidden", "user x cannot list")] * 50)
    async with ui(kubernetes, size=(80, 24)) as it:
        await it.until(
            "You need the verbs list and watch on sympoziuminstances in all namespaces",
            "press n and choose it",
            "kubectl auth can-i list sympoziuminstances.sympozium.ai -A",
        )


async def test_missing_crds_come_with_the_command_that_installs_them() -> None:
    kubernetes = empty_cluster()
    kubernetes.absent |= {INSTANCES, RUNS}
    async with ui(kubernetes, size=(80, 24)) as it:
        await it.until("the CRDs of sympozium.ai are not", "helm install sympozium-crds")
        kubernetes.absent.clear()
        await it.press("r")
        await it.until("No instances in all namespaces", "Press a to make one")


async def test_rows_are_dated_and_nothing_is_written_while_the_cluster_is_away() -> None:
    async with ui() as it:
        await it.until("assistant")
        version = it.kubernetes.documents.pop("/version")
        await it.until("✗ away", "Cluster away since", "rows as of", "> assistant")
        await it.press("x")
        await it.until("the cluster does not answer: nothing was changed")
        it.kubernetes.documents["/version"] = version
        await it.until("● live", absent=["Cluster away"])


async def test_hostile_names_and_answers_are_text() -> None:
    hostile = "\x1b[2J\x1b]0;owned\x07[red]model[/red]\u202e"
    kubernetes = empty_cluster()
    kubernetes.put(instance("good", spec={"agents": {"default": {"model": hostile}}, "title": hostile}))
    kubernetes.put(run("run-1", "good", status={"result": f"# {hostile}\n`{hostile}`", "model": hostile}))
    async with ui(kubernetes, size=(160, 45)) as it:
        for keys in (["1"], ["enter"], ["y"], ["2"], ["enter"]):
            await it.until("good")
            await it.press(*keys)
        text = await it.until("[red]model[/red]\ufffd")
        assert not any(ord(sign) < 32 and sign != "\n" for sign in text)
        assert "owned" not in text


async def test_without_colours_the_cursor_and_the_states_are_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    async with ui(size=(80, 24)) as it:
        text = await it.until("> assistant", "● Serving", "✗ Error", "[x] on", "[ ] off")
        assert all(len(line) <= 80 for line in text.splitlines())
        strips = it.app.screen._compositor.render_strips()
        filtered = [
            strip.apply_filter(line, it.app.screen.background_colors[1])
            for strip in strips
            for line in it.app._filters[1:]
        ]
        assert not [
            s for strip in filtered for s in strip if s.style and s.style.color and not s.style.color.is_default
        ]


async def test_two_thousand_runs_cost_what_a_screen_of_them_costs() -> None:
    kubernetes = empty_cluster()
    for number in range(2000):
        kubernetes.put(run(f"run-{number:04}", ago=number))
    async with ui(kubernetes) as it:
        began = time.process_time()
        await it.press("2")
        await it.until("first 300 of 2000", "> ✓ Succeeded  run-0000")
        seconds = time.process_time() - began
        costs = []
        for key in ["down", "pagedown", "end", "home"] * 10:
            began = time.process_time()
            await it.press(key)
            costs.append(time.process_time() - began)
        p95 = sorted(costs)[37]
        assert seconds < 2, f"{seconds:.2f} s of processor to the first rows"
        assert p95 < 0.3, f"{p95 * 1000:.0f} ms of processor for a key, p95 of 40"
