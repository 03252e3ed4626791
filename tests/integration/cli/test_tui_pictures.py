"""Screens as they look, on a small terminal and on a large one."""

import time
from collections.abc import Iterator
from types import SimpleNamespace

import pytest
from tests.integration.cli.pictures import matches
from tests.integration.cli.ui_world import a_cluster, ui


@pytest.fixture(autouse=True)
def same_everywhere(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Times of day in UTC, and answers that take as long on any machine."""
    moments = iter((10.0, 10.31, 11.42))
    monkeypatch.setattr("sympozium_cli.tui.screens.chat.time", SimpleNamespace(monotonic=lambda: next(moments)))
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.parametrize("size", [(80, 24), (160, 45)], ids=["80x24", "160x45"])
async def test_screens_look_as_in_their_pictures(size: tuple[int, int]) -> None:
    cluster = a_cluster()
    changed: list[str] = []

    async with ui(cluster, size=size) as it:

        def look(name: str) -> None:
            if not matches(it, name):
                changed.append(name)

        await it.until("> assistant", "✗ Error", "● live")
        look("instances")
        await it.press("s")
        await it.until("tone", "search")
        await it.press("down", "space")
        await it.until("search is on")
        look("skills")
        await it.press("escape", "2")
        await it.until("> ○ Pending", "✗ Failed model_error")
        look("runs")
        await it.press("down", "down", "down", "enter")
        await it.until("Run team-a/assistant-bbb", "the model refused: quota", "TIMELINE")
        look("failed-run")
        await it.press("1")
        await it.until("> assistant")
        it.answers.append(["A **pod** is a group of containers:\n\n", "- they share an address\n- and `localhost`\n"])
        await it.press("c")
        it.current.draft.cursor_blink = False  # type: ignore[attr-defined]
        await it.write("What is a pod?")
        await it.press("enter")
        await it.until("they share an address", "1.42s in all")
        await it.write("And a node?")
        look("chat")
        await it.press("escape")
        await it.until("> assistant")
        await it.press("question_mark")
        await it.until("Help", "INSTANCES")
        look("help")
    assert not changed, "UPDATE_GOLDEN=1 writes the pictures again; look at them before you commit"
