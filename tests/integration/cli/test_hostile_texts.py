"""A hundred texts of models and users that would act on a terminal: in the UI, and in what commands print, they are text."""

import json
from itertools import product
from unicodedata import category

import yaml
from tests.fakes.kubernetes import FakeKubernetes
from tests.integration.cli.conftest import Plugin
from tests.integration.cli.ui_world import event, instance, pack, run, ui

from sympozium_cli.plain_stream import PlainStream
from sympozium_cli.tui.screens.text_screen import markdown
from sympozium_cli.tui.views.run_detail import RunContents, run_blocks

ACTS = (
    "\x1b[2J",  # clears the screen
    "\x1b]0;owned\x07",  # the window's title
    "\x1b]52;c;b3duZWQ=\x07",  # the clipboard
    "\x1b]8;;https://evil.example\x1b\\",  # a link
    "\x1b[?1049l",  # leaves the UI's screen
    "\x1b[?1000h\x1b[?25l",  # mouse and cursor
    "\x1b[6n\x1b[c",  # questions, whose answers are typed
    "\x1bP1$r0m\x1b\\",
    "\x1bc",  # resets the terminal
    "\x9b31m\x9d0;owned\x9c",  # the same by one byte
    "\r\x1b[1A\x1b[K",  # writes over the line before
    "\x08\x08\x08\x7f",
    "\u202eevil\u2066",  # right to left
)
FORMS = (
    "{}",
    "a{}b",
    "{0}{0}x",
    "[red]{}[/red]",
    "# {}",
    "`{}`",
    "- {}\n\n| a |\n|---|\n| {} |",
    "[{0}](http://x/{0})",
)
_ACTING = {"Cc", "Cf", "Cs", "Zl", "Zp"}
"""Unicode's categories of controls, formats (of direction too), halves of pairs and line ends."""
HOSTILE = [form.replace("{0}", act).replace("{}", act) for act, form in product(ACTS, FORMS)]


def furnish(kubernetes: FakeKubernetes) -> None:
    """Store them wherever models and users may write."""
    kubernetes.documents["/version"] = {}
    for number, text in enumerate(HOSTILE):
        kubernetes.put(instance(f"agent-{number:03}", spec={"agents": {"default": {"model": text}}, "title": text}))
        error = {"type": text, "message": text, "httpStatus": 500}
        status = {"result": text, "model": text, "error": error, "finishReason": text}
        caller = {"user": text, "credential": "key"}
        kubernetes.put(
            run(f"run-{number:03}", phase="Failed", ago=number, status=status, spec={"task": text, "caller": caller})
        )
        kubernetes.put(event(f"event-{number:03}", "AgentRun", f"run-{number:03}", text, text, "Warning"))
    kubernetes.put(pack("hostile", skills=[{"name": text, "description": text, "content": text} for text in HOSTILE]))


def acts_on_a_terminal(text: str) -> list[str]:
    """Return the lines of a text that have more than what a terminal shows."""
    return [line for line in text.split("\n") if any(category(sign) in _ACTING for sign in line)]


async def test_the_ui_shows_them_as_text() -> None:
    assert len(HOSTILE) >= 100
    kubernetes = FakeKubernetes()
    furnish(kubernetes)
    async with ui(kubernetes, size=(160, 45)) as it:
        for view, name in (("1", "agent-"), ("2", "run-"), ("5", "Events"), ("6", "Usage")):
            await it.press(view)
            await it.until(name)
            for key in ("end", "pageup", "pageup", "home", *("bbb" if view == "6" else "")):
                await it.press(key)
                assert acts_on_a_terminal(it.text) == []
        for view in ("1", "2", "3"):
            await it.press(view, "home", "down")
            for key in ("enter", "escape", "y"):
                await it.press(key)
                assert acts_on_a_terminal(it.text) == []
            await it.press("escape")


def test_the_detail_of_each_run_is_text() -> None:
    kubernetes = FakeKubernetes()
    furnish(kubernetes)
    for number in range(len(HOSTILE)):
        body = kubernetes.objects["agentruns", "team-a", f"run-{number:03}"]
        for block in run_blocks(body, RunContents(), markdown):
            shown = "".join(strip.text for strip in block(80)) if callable(block) else block.text
            assert acts_on_a_terminal(shown) == []


def test_answers_are_text_however_they_are_cut() -> None:
    for text in HOSTILE:
        for size in (1, 2, 5, len(text)):
            stream = PlainStream()
            pieces = [stream.feed(text[at : at + size]) for at in range(0, len(text), size)]
            assert acts_on_a_terminal("".join(pieces) + stream.end()) == []


def test_commands_print_them_as_text(plugin: Plugin, kubernetes: FakeKubernetes) -> None:
    furnish(kubernetes)
    for form in ("table", "wide", "name", "json", "yaml"):
        done = plugin("runs", "-n", "team-a", "-o", form)
        assert (done.code, acts_on_a_terminal(done.out + done.err)) == (0, [])
        if form in ("json", "yaml"):
            found = json.loads(done.out) if form == "json" else yaml.safe_load(done.out)
            assert {item["status"]["model"] for item in found["items"]} == set(HOSTILE)  # no data are lost
