"""Keys that work on every screen, and in every list."""

import asyncio

import pytest
from tests.integration.cli.ui_world import a_cluster, covers, instance, ui

from sympozium_cli.tui.views.command_line import VIEWS


@covers("everywhere", "?")
async def test_the_help_shows_the_keys_of_the_screen_first() -> None:
    async with ui() as it:
        await it.press("2", "question_mark")
        text = await it.until("Help", "RUNS", "log of its pod")
        assert text.index("RUNS") < text.index("EVERYWHERE")


@covers("everywhere", ":")
async def test_the_command_line_completes_recalls_and_says_what_it_does_not_know() -> None:
    async with ui() as it:
        await it.press("colon")
        await it.write("ev")
        await it.press("tab", "enter")
        await it.until("Events", "SecretNotFound")
        await it.press("colon", "up", "enter", "colon")
        await it.write("nonsense")
        await it.press("enter")
        await it.until("is none of instances, runs")
        await it.press("escape", "colon")
        await it.write("ns team-b")
        await it.press("enter")
        await it.until("namespace team-b", "No events in namespace team-b")
        await it.press("colon")
        await it.write("q")
        await it.press("enter")
        assert not it.app.is_running


async def test_another_context_is_completed_and_one_that_is_not_there_refused() -> None:
    async with ui() as it:
        await it.press("colon")
        await it.write("ctx nowhere")
        await it.press("enter")
        await it.until("the kubeconfig has no context nowhere; it has kind, other")
        await it.press("escape", "colon")
        await it.write("ctx o")
        await it.press("tab", "enter")
        assert it.app.next_context == "other"
        assert not it.app.is_running


@covers("everywhere", "1-6")
async def test_digits_lead_to_the_six_views() -> None:
    async with ui() as it:
        for number, view in enumerate(VIEWS, 1):
            await it.press(str(number))
            await it.until(view.capitalize())


@covers("everywhere", "/")
async def test_a_filter_counts_while_it_is_typed_and_is_recalled() -> None:
    async with ui() as it:
        await it.until("broken")
        await it.press("slash")
        await it.write("help")
        await it.until("helper", absent=["broken"])
        await it.press("enter")
        await it.until("1 of 3", "filter: help")
        await it.press("escape")
        await it.until("broken")
        await it.press("slash", "up", "enter")
        await it.until("filter: help")
        await it.press("slash", "escape")
        await it.until("filter: help")
        await it.press("escape", "slash")
        await it.write("!help")
        await it.press("enter")
        await it.until("broken", absent=["helper"])


@covers("everywhere", "Esc")
async def test_escape_clears_the_filter_and_then_goes_back() -> None:
    async with ui() as it:
        await it.until("assistant")
        await it.press("enter")
        await it.until("Instance team-a/assistant", "WEB ENDPOINT")
        await it.press("slash")
        await it.write("gpt")
        await it.press("enter")
        await it.until("filter: gpt", absent=["WEB ENDPOINT"])
        await it.press("escape")
        await it.until("WEB ENDPOINT")
        await it.press("escape")
        await it.until("Instances  3")


@covers("everywhere", "n")
async def test_a_namespace_is_chosen_by_name() -> None:
    cluster = a_cluster()
    cluster.put(instance("other") | {"metadata": {"name": "other", "namespace": "team-b"}})
    async with ui(cluster) as it:
        await it.until("other", "helper")
        await it.press("n")
        await it.write("team-b")
        await it.press("enter")
        await it.until("namespace team-b", "other", absent=["helper"])


@covers("everywhere", "0")
async def test_zero_shows_all_namespaces() -> None:
    async with ui(namespace="team-z") as it:
        await it.until("No instances in namespace team-z", "0 shows all namespaces")
        await it.press("0")
        await it.until("all namespaces", "helper")


@covers("everywhere", "r")
async def test_r_reads_everything_again() -> None:
    async with ui() as it:
        await it.until("helper")
        it.kubernetes.reads.clear()
        await it.press("r")
        async with asyncio.timeout(60):
            while ("list", "sympoziuminstances", "") not in it.kubernetes.reads:
                await asyncio.sleep(0.02)
        await it.until("helper")


@covers("everywhere", "Ctrl+K")
async def test_the_kubectl_line_of_what_is_selected_and_of_what_was_done_can_be_copied() -> None:
    async with ui() as it:
        await it.until("assistant")
        await it.press("ctrl+k")
        await it.until("kubectl --context=kind get instance assistant -n team-a -o yaml")
        await it.press("y")
        await it.until("copied")
        assert it.app.clipboard == "kubectl --context=kind get instance assistant -n team-a -o yaml"
        await it.press("s")
        await it.until("web-endpoint")
        await it.press("space")
        await it.until("saved")
        await it.press("ctrl+k", "y")
        assert "patch instance assistant -n team-a --type merge" in it.app.clipboard


@covers("everywhere", "Ctrl+R")
async def test_read_only_mode_refuses_every_key_that_writes() -> None:
    async with ui(read_only=True) as it:
        await it.until("read-only", "assistant")
        for key in ("e", "x", "R", "a"):
            await it.press(key)
            await it.until("read-only mode: Ctrl+R ends it")
        await it.press("s")
        await it.until("web-endpoint")
        await it.press("space")
        await it.until("read-only mode: Ctrl+R ends it")
        assert it.kubernetes.writes == []
        await it.press("ctrl+r", "space")
        await it.until("saved")


@covers("everywhere", "T")
async def test_themes_change() -> None:
    async with ui() as it:
        themes = []
        for _ in range(3):
            await it.press("T")
            themes.append(it.app.theme)
        assert themes == ["textual-light", "ansi-dark", "textual-dark"]


@pytest.mark.parametrize("key", [pytest.param("q", id="q"), pytest.param("ctrl+c", id="ctrl+c")])
@covers("everywhere", "q")
@covers("everywhere", "Ctrl+C")
async def test_the_ui_ends(key: str) -> None:
    async with ui() as it:
        await it.press(key)
        assert not it.app.is_running


@covers("everywhere", "Ctrl+C")
async def test_ctrl_c_ends_the_ui_inside_a_text_field_too() -> None:
    async with ui() as it:
        await it.until("assistant")
        await it.press("c", "ctrl+c")
        assert not it.app.is_running


@covers("lists", "Up k")
@covers("lists", "Down j")
@covers("lists", "PgUp")
@covers("lists", "PgDn")
@covers("lists", "Home g")
@covers("lists", "End G")
async def test_the_cursor_moves_and_stays_in_sight() -> None:
    cluster = a_cluster()
    for number in range(60):
        cluster.put(instance(f"many-{number:02}"))
    async with ui(cluster) as it:
        await it.until("many-00")
        table = it.current.table  # type: ignore[attr-defined]
        seen = []
        for key in ("down", "j", "up", "k", "end", "G", "pageup", "pagedown", "home", "G", "g", "pagedown"):
            await it.press(key)
            seen.append(table.cursor)
            await it.until("> " + table.selected[1])
        rows = table.size.height - 1
        assert seen == [1, 2, 1, 0, 62, 62, 62 - rows + 1, 62, 0, 62, 0, rows - 1]


@covers("texts and logs", "w")
@covers("texts and logs", "s")
async def test_a_text_scrolls_wraps_and_follows() -> None:
    async with ui(size=(60, 12)) as it:
        await it.until("assistant")
        await it.press("y")
        text = await it.until("YAML team-a/assistant", "apiVersion")
        for key in ("down", "end", "up", "home", "pagedown", "pageup"):
            await it.press(key)
        assert it.text == text
        await it.press("s")
        await it.until("following", "url: http", absent=["apiVersion"])
        await it.press("w", "home")
        await it.until("apiVersion", absent=["following"])
