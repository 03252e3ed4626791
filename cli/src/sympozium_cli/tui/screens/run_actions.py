"""Keys about a run, on the list and on its detail."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from typing import ClassVar

from sympozium_api.client import ApiError
from sympozium_api.resources import RUNS, Object, ResourceType
from sympozium_cli.failures import Failure
from sympozium_cli.new_runs import repeated
from sympozium_cli.tui import keys, operations
from sympozium_cli.tui.screens.logs import LogScreen
from sympozium_cli.tui.screens.object_actions import ObjectActions
from sympozium_cli.tui.screens.prompts import Question
from sympozium_cli.tui.screens.text_screen import LoadedText, TextScreen, markdown
from sympozium_cli.tui.views import kubectl_lines
from sympozium_cli.tui.views.lines import Line
from sympozium_cli.tui.views.reading import Key, text_at
from sympozium_cli.tui.views.run_detail import RunContents, event_lines, run_blocks
from sympozium_cli.tui.widgets.text_pane import Block


class RunActions(ObjectActions):
    """A screen on which a run is selected, or shown."""

    KIND: ClassVar[ResourceType] = RUNS

    def action_detail(self) -> None:
        """Show the run in full."""
        if key := self.target():
            self.app.push_screen(RunDetail(key))

    def action_logs(self) -> None:
        """Show the log of its pod."""
        if key := self.target():
            self.work(self._logs(key))

    async def _logs(self, key: Key) -> None:
        run = await self.world.client.get(RUNS, *key)
        pod = text_at(run, "status", "podName")
        if not pod:
            raise Failure("the run has no pod yet: E shows the events of its Job")
        line = kubectl_lines.of_logs(self.world.kubectl_args, key[0], pod)
        self.app.push_screen(LogScreen(key[0], pod, kubectl_line=line))

    def action_events(self) -> None:
        """Show the events of the run, its Job and its pod."""
        if key := self.target():

            async def read() -> Sequence[Block]:
                run = await self.world.client.get(RUNS, *key)
                found = await operations.events_of(self.world.client, key[0], operations.names_of(run))
                return event_lines(found) or [Line("No events: Kubernetes keeps them for an hour.", "dim")]

            line = kubectl_lines.kubectl(self.world.kubectl_args, "events", "-n", key[0], "--for", f"agentrun/{key[1]}")
            self.app.push_screen(LoadedText(f"Events of {key[1]}", read, kubectl_line=line))

    def action_instance(self) -> None:
        """Show the instance of the run."""
        key = self.target()
        item = self.world.live(RUNS).items.get(key) if key else None
        if item is not None:
            self.ui.show_instance((item.key[0], item.instance))

    def action_repeat(self) -> None:
        """Ask the same question again, as a new run."""
        if (key := self.target()) and self.may_write():
            self.work(self._repeat(key))

    async def _repeat(self, key: Key) -> None:
        run = await self.world.client.get(RUNS, *key)
        body = repeated(run)
        await self.world.client.create(RUNS, key[0], body, strict=True, metadata_only=True)
        name = body["metadata"]["name"]
        self.world.done_line = kubectl_lines.of_object(self.world.kubectl_args, "get", RUNS, (key[0], name), "-w")
        self.ui.show_run((key[0], name))

    def action_cancel(self) -> None:
        """Cancel the run, once confirmed."""
        if (key := self.target()) and self.may_write():
            self.work(self._cancel(key))

    async def _cancel(self, key: Key) -> None:
        item = self.world.live(RUNS).items.get(key)
        if item is not None and item.mode == "server":
            raise Failure(f"this is the server of a web endpoint: w on the instance {item.instance} switches it off")
        if item is not None and not item.is_open:
            raise Failure(f"the run has ended already: {item.phase}")
        if not await self.app.push_screen_wait(Question([Line(f"Cancel the run {key[1]}?")], yes="cancel it")):
            return
        await operations.cancel(self.world.client, key)
        self.world.done_line = kubectl_lines.of_patch(self.world.kubectl_args, RUNS, key, {"spec": {"cancel": True}})
        self.say(f"cancelling {key[1]}")

    def action_delete(self) -> None:
        """Delete the run, once confirmed."""
        if (key := self.target()) and self.may_write():
            self.work(self._delete(key))

    async def _delete(self, key: Key) -> None:
        uid = await operations.uid_of(self.world.client, RUNS, key)
        lines = [Line(f"Delete the run {key[1]}, with its question and its answer?")]
        if not await self.app.push_screen_wait(Question(lines, yes="delete it")):
            return
        await self.world.client.delete(RUNS, *key, uid=uid)
        self.world.done_line = kubectl_lines.of_object(self.world.kubectl_args, "delete", RUNS, key)
        self.say(f"deleted {key[1]}")


class RunDetail(RunActions, TextScreen):
    """A run in full: why it ended so, timeline, question, answer."""

    KEYS = tuple(key for key in keys.RUNS if key.action not in {"detail", "phase", "follow"})
    SECTION = "runs"
    BINDINGS = keys.bindings(*KEYS)

    def __init__(self, key: Key) -> None:
        TextScreen.__init__(self, f"Run {key[0]}/{key[1]}")
        self._key = key

    def target(self) -> Key | None:
        """Return the run."""
        return self._key

    def version(self) -> object:
        """Return the run's item, which differs when the run does."""
        return self.world.live(RUNS).items.get(self._key)

    async def load(self) -> None:
        """Read the run, and show it."""
        try:
            run = await self.world.client.get(RUNS, *self._key)
        except ApiError as error:
            if error.not_found and self.pane.blocks:
                self.say("the run was deleted; this is its last state", failed=True)
                return
            raise
        events = await operations.events_of(self.world.client, self._key[0], operations.names_of(run))
        contents = await self._contents(run)
        self.pane.show(run_blocks(run, RunContents(*contents, events), markdown))

    async def _contents(self, run: Object) -> tuple[list, list, list]:  # type: ignore[type-arg]
        parts: dict[str, str] = {}
        with suppress(ApiError):
            parts = await operations.texts_of(self.world.client, run)

        def read() -> tuple[list, list, list]:  # type: ignore[type-arg]
            from sympozium_cli.tui.views.contents import answer, question

            messages, tools = question(run, parts)
            return messages, tools, answer(run, parts)

        return await asyncio.to_thread(read)

    def kubectl_line(self) -> str:
        """Return the line that gets the run."""
        return ObjectActions.kubectl_line(self)
