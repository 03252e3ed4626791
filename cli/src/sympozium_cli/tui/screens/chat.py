"""A conversation with an agent."""

import asyncio
import time
from collections.abc import Sequence
from contextlib import aclosing
from typing import Any

from textual import events
from textual.message import Message
from textual.widget import Widget
from textual.widgets import TextArea

from sympozium_api.client import ApiError, ApiUnavailable
from sympozium_api.resources import INSTANCES, Object
from sympozium_cli.chat_events import Ended, Started, Text, Waiting
from sympozium_cli.failures import Failure
from sympozium_cli.plain_text import plain, plain_copy
from sympozium_cli.tui import keys
from sympozium_cli.tui.screens.base import BaseScreen
from sympozium_cli.tui.screens.prompts import LinePrompt
from sympozium_cli.tui.screens.text_screen import markdown
from sympozium_cli.tui.views import kubectl_lines
from sympozium_cli.tui.views.columns import Cell
from sympozium_cli.tui.views.lines import Line, foreign
from sympozium_cli.tui.views.reading import Key, at
from sympozium_cli.tui.widgets.text_pane import Block, TextPane

_DRAW_SECONDS = 0.05
"""Shortest time between two drawings of an answer that arrives."""


class Draft(TextArea):
    """The text that is being written: Enter sends it, Ctrl+J begins a line."""

    class Sent(Message):
        """The text is to be sent."""

    async def on_key(self, event: events.Key) -> None:
        """Send, or begin a line."""
        if event.key == "enter":
            event.stop()
            event.prevent_default()
            self.post_message(self.Sent())
        elif event.key == "ctrl+j":
            event.stop()
            event.prevent_default()
            self.insert("\n")


class ChatScreen(BaseScreen):
    """Questions and answers, the newest in sight, and a draft below."""

    KEYS = keys.CHAT
    SECTION = "chat"
    BINDINGS = keys.bindings(*(key for key in keys.CHAT if key.action not in {"send", "newline"}))

    def __init__(self, key: Key) -> None:
        super().__init__()
        self.pane = TextPane()
        self.pane.can_focus = False
        self.pane.follows = True
        self.draft = Draft(soft_wrap=True, show_line_numbers=False)
        self.key = key
        self.messages: list[Object] = []
        self.model = ""
        """Model of the next questions; empty: the instance's own."""
        self._blocks: list[Block] = []
        self._arriving: list[Line] = []
        """Lines of the answer that arrives, until they are drawn."""
        self._answering: asyncio.Task[None] | None = None

    def body(self) -> Sequence[Widget]:
        """Return the conversation and the draft."""
        return [self.pane, self.draft]

    def on_mount(self) -> None:
        """Wait for a question."""
        super().on_mount()
        self.draft.focus()
        self._say_hello()

    def _say_hello(self) -> None:
        self._blocks = [Line("Write a question, Enter sends it.", "dim")]
        self.pane.show(self._blocks)

    def title_cells(self) -> list[Cell]:
        """Return the instance."""
        self.heading = f"Chat with {self.key[0]}/{self.key[1]}" + (f", model {plain(self.model)}" if self.model else "")
        return super().title_cells()

    def on_draft_sent(self) -> None:
        """Send the draft."""
        text = self.draft.text.strip()
        if not text or not self.may_write():
            return
        if self._answering:
            self.say("an answer is on its way: Esc stops it", failed=True)
            return
        self.draft.text = ""
        self.messages.append({"role": "user", "content": text})
        self._blocks += [Line(), Line("you", "strong"), *foreign(text), Line(), Line(self.key[1], "strong")]
        self._answering = asyncio.create_task(self._answer())

    async def _answer(self) -> None:
        began, first, text, notes = time.monotonic(), 0.0, "", ""
        self.pane.show([*self._blocks, Line("waiting …", "dim")])
        try:
            async with aclosing(self.ui.converse(self.world.cluster, *self.key, self.messages, self.model)) as answer:
                async for event in answer:
                    match event:
                        case Text():
                            first = first or time.monotonic() - began
                            text += event.text
                        case Waiting():
                            notes = event.reason
                        case Started() | Ended():
                            notes = f"run {event.run}"
                    self._draw_soon(foreign(text) if text else [Line(f"{notes or 'waiting'} …", "dim")])
            self.messages.append({"role": "assistant", "content": text})
            total = time.monotonic() - began
            words = [notes, f"first token {first:.2f}s", f"{total:.2f}s in all"]
            self._blocks += [*markdown(text), Line(plain(" · ".join(filter(None, words))), "dim")]
        except asyncio.CancelledError:
            self._blocks += [*foreign(text), Line("(stopped)", "warn")]
            self._forget_question(text)
        except (Failure, ApiError, ApiUnavailable, ValueError, OSError) as error:
            why = error.message if isinstance(error, ApiError) else str(error)
            self._blocks += [*foreign(text), *foreign(f"✗ {why}", "bad"), Line("  v under 1 shows its runs.", "dim")]
            self._forget_question(text)
        finally:
            self._answering = None
            self._arriving = []
            if self.is_attached:
                self.pane.show(self._blocks)

    def _draw_soon(self, lines: list[Line]) -> None:
        """Show what has arrived, at most twenty times a second."""
        is_waiting, self._arriving = bool(self._arriving), lines
        if not is_waiting:
            self.set_timer(_DRAW_SECONDS, self._draw)

    def _draw(self) -> None:
        if self._arriving:
            self.pane.show([*self._blocks, *self._arriving])
            self._arriving = []

    def _forget_question(self, text: str) -> None:
        """Keep what was said of a broken answer; without any, ask again from before the question."""
        if text:
            self.messages.append({"role": "assistant", "content": text})
        else:
            self.messages.pop()

    def _stop(self) -> bool:
        """Stop the answer; return true if there was one."""
        return bool(self._answering and self._answering.cancel())

    def action_stop(self) -> None:
        """Stop the answer or, if there is none, leave."""
        if not self._stop():
            self.app.pop_screen()

    def go_back(self) -> None:
        """Stop the answer, or leave."""
        self.action_stop()

    def on_unmount(self) -> None:
        """Stop the answer."""
        self._stop()

    def action_new(self) -> None:
        """Begin another conversation."""
        self._stop()
        self.messages = []
        self._say_hello()

    def action_model(self) -> None:
        """Ask for the model of the next questions."""
        self.run_worker(self._choose_model())

    async def _choose_model(self) -> None:
        try:
            models = _models_of(await self.world.client.get(INSTANCES, *self.key))
        except (ApiError, ApiUnavailable) as error:
            self.say(error.message if isinstance(error, ApiError) else str(error), failed=True)
            return

        def refuses(text: str) -> str:
            return "" if text.strip() in models else f"{self.key[1]} has {', '.join(map(plain, models)) or 'no model'}"

        prompt = LinePrompt(
            "Model:",
            value=self.model,
            completions=lambda text: [name for name in models if name.startswith(text)],
            refuses=refuses,
        )
        name = await self.app.push_screen_wait(prompt)
        if name is not None:
            self.model = "" if name.strip() == models[0] else name.strip()
            self.refresh_view()

    def action_copy(self) -> None:
        """Copy the last answer to the terminal's clipboard."""
        answers = [message["content"] for message in self.messages if message["role"] == "assistant"]
        if not answers:
            self.say("there is no answer yet", failed=True)
            return
        self.app.copy_to_clipboard(plain_copy(answers[-1]))
        self.say("copied the last answer")

    def action_page_up(self) -> None:
        """Scroll the conversation up."""
        self.pane.action_page_up()

    def action_page_down(self) -> None:
        """Scroll the conversation down."""
        self.pane.action_page_down()

    def kubectl_line(self) -> str:
        """Return the line that asks the same."""
        last: Any = next((m["content"] for m in reversed(self.messages) if m["role"] == "user"), "QUESTION")
        chosen = ("--model", self.model) if self.model else ()
        words = ("sympozium", "chat", self.key[1], last, "-n", self.key[0], *chosen)
        return kubectl_lines.kubectl(self.world.kubectl_args, *words)


def _models_of(instance: Object) -> list[str]:
    """Return the instance's own model, and those that it allows besides."""
    agent = at(instance, "spec", "agents", "default") or {}
    return [str(name) for name in (agent.get("model"), *(agent.get("allowedModels") or ())) if name]
