"""The terminal UI."""

import asyncio
import os
import shlex
import subprocess
import tempfile
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

import structlog
from textual.app import App
from textual.filter import Monochrome, NoColor
from textual.screen import ModalScreen

from sympozium_api.client import ApiError, ApiUnavailable
from sympozium_api.resources import INSTANCES, ResourceType
from sympozium_cli.chat_events import ChatEvent, Message
from sympozium_cli.cluster import Cluster
from sympozium_cli.tui import keys
from sympozium_cli.tui.screens.base import BaseScreen
from sympozium_cli.tui.screens.instance_actions import InstanceDetail
from sympozium_cli.tui.screens.prompts import LinePrompt, Question
from sympozium_cli.tui.screens.run_actions import RunDetail
from sympozium_cli.tui.screens.text_screen import HelpScreen
from sympozium_cli.tui.screens.views import ConfigView, EventsView, InstancesView, RunsView, SkillsView, UsageView
from sympozium_cli.tui.views.command_line import VIEWS, History, NotUnderstood, completions, parse
from sympozium_cli.tui.views.lines import Line
from sympozium_cli.tui.views.reading import Key
from sympozium_cli.tui.views.states import place
from sympozium_cli.tui.world import World

_SCREENS: dict[str, Any] = {
    "instances": InstancesView,
    "runs": RunsView,
    "skills": SkillsView,
    "config": ConfigView,
    "events": EventsView,
    "usage": UsageView,
}
_NAMESPACES = ResourceType("", "v1", "namespaces", "Namespace")
_REFRESH_SECONDS = 0.1
_THEMES = ("textual-dark", "textual-light", "ansi-dark")


async def show(cluster: Cluster, *, read_only: bool = False) -> str:
    """Show the UI until the user leaves it, and return the context to go on with; empty: none. ``read_only``: keys that change something
    are refused until Ctrl+R.
    """
    structlog.configure(
        logger_factory=structlog.ReturnLoggerFactory()
    )  # a line on the terminal would be over the screen
    app = SympoziumApp(World(cluster, read_only=read_only))
    await app.run_async()
    return app.next_context


Converse = Callable[[Cluster, str, str, Sequence[Message], str], AsyncGenerator[ChatEvent, None]]
"""Asks an agent, as ``chatting.chat`` does: of a cluster, a namespace and an instance, with the messages so far and a model."""


def _converse(
    cluster: Cluster, namespace: str, instance: str, messages: Sequence[Message], model: str
) -> AsyncGenerator[ChatEvent, None]:
    from sympozium_cli.chatting import chat  # takes longer than the rest of the UI, which begins without it

    return chat(cluster, namespace, instance, messages, model)


class SympoziumApp(App[None]):
    """The screens, and the keys that work on each of them."""

    CSS = """
    Screen { background: $background; color: $foreground; }
    Input, Input:focus { border: none; height: 1; padding: 0 1; background: $surface; }
    Input:focus { background: $primary-muted; }
    Draft, Draft:focus { border: none; height: 4; padding: 0 1; background: $surface; }
    LinePrompt { align: left bottom; background: transparent; }
    """
    ENABLE_COMMAND_PALETTE = False
    TITLE = "sympozium"
    BINDINGS = keys.bindings(*keys.EVERYWHERE)

    def __init__(
        self,
        world: World,
        *,
        converse: Converse | None = None,
        edit_text: Callable[[str], Awaitable[str]] | None = None,
    ) -> None:
        super().__init__()
        self.world = world
        self.next_context = ""
        self.converse: Converse = converse or _converse
        self.edit_text = edit_text or self._edit_text
        self.commands = History()
        self.filters = History()
        self.task_history = History()
        self._refresh_at: asyncio.TimerHandle | None = None
        self._theme = 0
        if self.no_color:
            self.theme = "ansi-dark"  # with NO_COLOR no colour at all is sent
            self._filters = [NoColor() if isinstance(line, Monochrome) else line for line in self._filters]

    def on_mount(self) -> None:
        """Begin with the instances."""
        self.world.on_change = self._refresh_soon
        self.world.start()
        self.push_screen(InstancesView())
        self.set_interval(1.0, self._refresh)

    async def on_unmount(self) -> None:
        """End all watches."""
        self.world.on_change = lambda: None
        await self.world.close()

    @property
    def current(self) -> BaseScreen | None:
        """The screen with the frame that is on top, or below a question."""
        found = [screen for screen in self.screen_stack if isinstance(screen, BaseScreen)]
        return found[-1] if found else None

    def _refresh_soon(self) -> None:
        if self._refresh_at is None:
            self._refresh_at = asyncio.get_running_loop().call_later(_REFRESH_SECONDS, self._refresh)

    def _refresh(self) -> None:
        if self._refresh_at:
            self._refresh_at.cancel()
        self._refresh_at = None
        if self.is_running and (current := self.current) and current.is_mounted:
            current.refresh_view()

    # Where one goes.

    def show_view(self, view: str, *, filter_text: str = "", instance: Key | None = None) -> None:
        """Show one of the six views, in place of all screens."""
        while len(self.screen_stack) > 2:
            self.pop_screen()
        screen = RunsView(filter_text, instance=instance) if instance else _SCREENS[view](filter_text)
        self.switch_screen(screen)

    def show_run(self, key: Key) -> None:
        """Show a run in full, over the list of runs."""
        self.show_view("runs")
        self.push_screen(RunDetail(key))

    def show_instance(self, key: Key, *, detail: bool = True) -> None:
        """Show an instance in full, or select it in the list."""
        self.show_view("instances")
        if detail:
            self.push_screen(InstanceDetail(key))
        elif isinstance(screen := self.current, InstancesView):
            screen.table.wanted = key

    def action_view(self, number: int) -> None:
        """Show a view by its number."""
        self.show_view(VIEWS[number - 1])

    def action_leave(self) -> None:
        """Clear the filter or go back."""
        if screen := self.current:
            if screen.filter_text():
                screen.set_filter("")
            else:
                screen.go_back()

    # Lines to fill in.

    def action_command(self) -> None:
        """Ask for a command."""
        self.run_worker(self._command())

    async def _command(self) -> None:
        names, contexts = await self._namespaces(), self.world.cluster.contexts

        def refuses(line: str) -> str:
            try:
                command = parse(line)
            except NotUnderstood as error:
                return str(error)
            if command.verb == "ctx" and contexts and command.argument not in contexts:
                return f"the kubeconfig has no context {command.argument}; it has {', '.join(contexts)}"
            return ""

        line = await self.push_screen_wait(
            LinePrompt(
                "Command:",
                history=self.commands,
                completions=lambda text: completions(text, names, contexts),
                refuses=refuses,
            )
        )
        if line is not None:
            self._do(line)

    def _do(self, line: str) -> None:
        command = parse(line)
        if command.verb == "q":
            self.exit()
        elif command.verb == "ns":
            self._select(command.argument or None)
        elif command.verb == "ctx":
            self.next_context = command.argument
            self.exit()
        else:
            self.show_view(command.verb, filter_text=command.argument)

    def action_filter(self) -> None:
        """Ask for the filter; what is typed counts at once."""
        if (screen := self.current) and screen.filter_text() is not None:
            self.run_worker(self._filter(screen, screen.filter_text() or ""))

    async def _filter(self, screen: BaseScreen, before: str) -> None:
        prompt = LinePrompt("Filter:", value=before, history=self.filters, on_change=screen.set_filter)
        text = await self.push_screen_wait(prompt)
        screen.set_filter(before if text is None else text)

    async def _namespaces(self) -> list[str]:
        """Return the namespaces, or those of the objects that were read if the user may not list namespaces."""
        try:
            found = await self.world.client.metadata(_NAMESPACES, None)
        except (ApiError, ApiUnavailable):
            return sorted({key[0] for key in self.world.live(INSTANCES).items})
        return sorted(item["metadata"]["name"] for item in found)

    def action_namespaces(self) -> None:
        """Ask for a namespace."""
        self.run_worker(self._ask_namespace())

    async def _ask_namespace(self) -> None:
        names = ["all", *await self._namespaces()]

        def refuses(text: str) -> str:
            return "" if text.strip() else "write a namespace, or all"

        prompt = LinePrompt(
            "Namespace:", completions=lambda text: [n for n in names if n.startswith(text)], refuses=refuses
        )
        name = await self.push_screen_wait(prompt)
        if name is not None:
            self._select(None if name.strip() == "all" else name.strip())

    def action_all_namespaces(self) -> None:
        """Show all namespaces."""
        self._select(None)

    def _select(self, namespace: str | None) -> None:
        self.world.select(namespace)
        if screen := self.current:
            screen.say(f"showing {place(namespace)}")

    # The rest.

    def action_help(self) -> None:
        """Show the keys of the screen, and those that work everywhere."""
        if screen := self.current:
            about = [screen.SECTION] if screen.SECTION else []
            self.push_screen(HelpScreen([*about, "everywhere", "lists", *keys.SECTIONS]))

    def action_reconnect(self) -> None:
        """Read everything again."""
        self.world.reconnect()

    def action_read_only(self) -> None:
        """Refuse changes, or permit them again."""
        self.world.read_only = not self.world.read_only
        if screen := self.current:
            screen.say(f"read-only mode is {'on' if self.world.read_only else 'off'}")
            screen.refresh_view()

    def action_theme(self) -> None:
        """Take the next theme."""
        self._theme = (self._theme + 1) % len(_THEMES)
        self.theme = _THEMES[self._theme]

    def action_kubectl(self) -> None:
        """Show the kubectl line of what is selected, and of what was done last; copy one."""
        if (screen := self.current) and not isinstance(self.screen, ModalScreen):
            self.run_worker(self._kubectl(screen))

    async def _kubectl(self, screen: BaseScreen) -> None:
        selected, done = screen.kubectl_line(), self.world.done_line
        lines = [Line("What is shown:", "dim"), Line(selected or "(nothing)", "strong")]
        lines += [Line("What was done last:", "dim"), Line(done, "strong")] if done else []
        if await self.push_screen_wait(Question(lines, yes="copy " + ("the last line" if done else "it"))):
            self.copy_to_clipboard(done or selected)
            screen.say("copied")

    async def _edit_text(self, text: str) -> str:
        """Let the user edit a text in their editor, and return it."""
        editor = os.environ.get("KUBE_EDITOR") or os.environ.get("EDITOR") or "vi"
        with tempfile.TemporaryDirectory(prefix="kubectl-sympozium-") as folder:
            file = Path(folder) / "object.yaml"
            file.write_text(text)
            with self.suspend():
                subprocess.run([*shlex.split(editor), str(file)], check=False)  # noqa: S603, ASYNC221 - the screen is the editor's
            return file.read_text()
