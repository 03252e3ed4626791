"""Keys of the chat."""

import asyncio
import copy

from tests.integration.cli.ui_world import covers, ui

from sympozium_api.resources import INSTANCES
from sympozium_cli.failures import Failure


@covers("instances", "c")
@covers("chat", "Enter")
@covers("chat", "Ctrl+J")
@covers("chat", "Ctrl+Y")
@covers("chat", "Ctrl+N")
@covers("chat", "PgUp")
@covers("chat", "PgDn")
async def test_a_conversation() -> None:
    async with ui(size=(80, 24)) as it:
        await it.until("assistant")
        it.answers += [["A *pod*", " is a group."], ["\n\n".join(f"line {number}" for number in range(30))]]
        await it.press("c")
        await it.until("Chat with team-a/assistant", "Enter sends it")
        await it.press("enter", *"what", "ctrl+j", *"is", "enter")
        await it.until("you", "what", "A pod is a group.", "run assistant-eee", "first token")
        assert it.asked == [[{"role": "user", "content": "what\nis"}]]
        await it.press("ctrl+y")
        assert it.app.clipboard == "A *pod* is a group."
        await it.press(*"more", "enter")
        await it.until("line 29")
        assert [message["role"] for message in it.asked[1]] == ["user", "assistant", "user"]
        await it.press("pageup", "pageup", "pageup", "pageup", "pageup")
        await it.until("A pod is a group.", absent=["line 29"])
        await it.press(*["pagedown"] * 6)
        await it.until("line 29")
        await it.press("ctrl+n", "ctrl+y")
        await it.until("there is no answer yet", absent=["line 29"])


@covers("chat", "Ctrl+O")
async def test_a_question_goes_to_another_model_of_the_instance() -> None:
    async with ui() as it:
        await it.until("assistant")
        stored = copy.deepcopy(it.kubernetes.object(INSTANCES, "assistant", namespace="team-a"))
        stored["spec"]["agents"]["default"]["allowedModels"] = ["gpt-5"]
        it.kubernetes.put(stored)
        it.answers += [["one"], ["two"], ["three"]]
        await it.press("c", *"hi", "enter")
        await it.until("one", "in all")
        await it.press("ctrl+o")
        await it.write("gpt-4")
        await it.press("enter")
        await it.until("assistant has gpt-5-mini, gpt-5")
        await it.press("backspace", "5", "enter")
        await it.until("team-a/assistant, model gpt-5")
        await it.press(*"hi", "enter")
        await it.until("two")
        await it.press("ctrl+o")
        await it.write("-mini")
        await it.press("enter", *"hi", "enter")
        await it.until("three")
        assert it.models == ["", "gpt-5", ""]


@covers("chat", "Esc")
async def test_escape_stops_the_answer_and_then_leaves() -> None:
    async with ui() as it:
        await it.until("assistant")
        it.answers.append(["half of it", asyncio.Event()])
        await it.press("c", *"hi", "enter")
        await it.until("half of it")
        await it.press("x", "enter")
        await it.until("an answer is on its way: Esc stops it")
        await it.press("escape")
        await it.until("half of it", "(stopped)")
        await it.press("escape")
        await it.until("Instances  3")


async def test_a_failure_and_hostile_answers_are_text() -> None:
    hostile = "\tls\x1b[201~\n\x1b]0;owned\x07[bold red]x[/] \x1b[2J [link](https://evil.example)"
    async with ui() as it:
        await it.until("assistant")
        it.answers += [[hostile], [Failure("the model refused: \x1b[31mquota")]]
        await it.press("c", *"hi", "enter")
        text = await it.until("[bold red]x[/]", "link", "in all")
        assert "\x1b" not in text
        assert "owned" not in text
        assert "]8;" not in it.app.export_screenshot()
        await it.press("ctrl+y")
        assert it.app.clipboard == "\tls\n[bold red]x[/]  [link](https://evil.example)"
        await it.press(*"again", "enter")
        await it.until("✗ the model refused: quota")
