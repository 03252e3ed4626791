"""Keys about an instance, on the list and on its detail."""

from collections.abc import Sequence
from typing import ClassVar

from sympozium_api.resources import INSTANCES, RUNS, ResourceType
from sympozium_cli.new_runs import run_of_task
from sympozium_cli.tui import keys, operations
from sympozium_cli.tui.screens.chat import ChatScreen
from sympozium_cli.tui.screens.endpoint_form import EndpointForm
from sympozium_cli.tui.screens.object_actions import ObjectActions
from sympozium_cli.tui.screens.pool_form import PoolForm
from sympozium_cli.tui.screens.prompts import LinePrompt, Question
from sympozium_cli.tui.screens.skills_of_instance import SkillsOfInstance
from sympozium_cli.tui.screens.text_screen import TextScreen
from sympozium_cli.tui.views import kubectl_lines
from sympozium_cli.tui.views.details import instance_blocks
from sympozium_cli.tui.views.lines import foreign
from sympozium_cli.tui.views.reading import Key


class InstanceActions(ObjectActions):
    """A screen on which an instance is selected, or shown."""

    KIND: ClassVar[ResourceType] = INSTANCES

    def action_detail(self) -> None:
        """Show the instance in full."""
        if key := self.target():
            self.app.push_screen(InstanceDetail(key))

    def action_skills(self) -> None:
        """Show its skills, each with a switch."""
        if key := self.target():
            self.app.push_screen(SkillsOfInstance(key))

    def action_web_endpoint(self) -> None:
        """Show the form of its web endpoint."""
        if key := self.target():
            self.work(self._open_form(EndpointForm, key))

    def action_pool(self) -> None:
        """Show the form of its warm pool."""
        if key := self.target():
            self.work(self._open_form(PoolForm, key))

    async def _open_form(self, form: type[EndpointForm] | type[PoolForm], key: Key) -> None:
        self.app.push_screen(form(key, await self.world.client.get(INSTANCES, *key)))

    def action_chat(self) -> None:
        """Chat with it."""
        if key := self.target():
            self.app.push_screen(ChatScreen(key))

    def action_runs_of(self) -> None:
        """Show its runs."""
        if key := self.target():
            self.ui.show_view("runs", instance=key)

    def action_run_task(self) -> None:
        """Ask for a task, and run it."""
        if (key := self.target()) and self.may_write():
            self.work(self._run_task(key))

    async def _run_task(self, key: Key) -> None:
        task = await self.app.push_screen_wait(LinePrompt(f"Task for {key[1]}:", history=self.ui.task_history))
        if not task:
            return
        body = run_of_task(*key, task)
        await self.world.client.create(RUNS, key[0], body, strict=True, metadata_only=True)
        name = body["metadata"]["name"]
        self.world.done_line = kubectl_lines.of_object(self.world.kubectl_args, "get", RUNS, (key[0], name), "-w")
        self.ui.show_run((key[0], name))

    def action_new(self) -> None:
        """Write a new instance in $EDITOR."""
        if self.may_write():
            self.work(self._new())

    async def _new(self) -> None:
        from sympozium_cli.tui import manifests

        target = self.target()
        before = manifests.new_instance(self.world.namespace or (target[0] if target else "default"))
        text = await self.ui.edit_text(before)
        body = manifests.parsed(text)
        namespace = body["metadata"].setdefault("namespace", self.world.namespace or "default")
        if not await self.app.push_screen_wait(Question(foreign(text), yes="create")):
            self.say("nothing was created", failed=True)
            return
        await self.world.client.create(INSTANCES, namespace, body, strict=True)
        self.world.done_line = kubectl_lines.kubectl(self.world.kubectl_args, "apply", "-f", "FILE")
        self.say(f"created {body['metadata'].get('name')}")

    def action_delete(self) -> None:
        """Delete the instance, whose name is typed to confirm."""
        if (key := self.target()) and self.may_write():
            self.work(self._delete(key))

    async def _delete(self, key: Key) -> None:
        def refuses(text: str) -> str:
            return "" if text == key[1] else f"type {key[1]} to delete it; Esc leaves it"

        uid = await operations.uid_of(self.world.client, INSTANCES, key)
        words = f"Delete {key[1]} in {key[0]}, with its web endpoint and its runs? Type its name:"
        if await self.app.push_screen_wait(LinePrompt(words, refuses=refuses)) is None:
            return
        await self.world.client.delete(INSTANCES, *key, uid=uid)
        self.world.done_line = kubectl_lines.of_object(self.world.kubectl_args, "delete", INSTANCES, key)
        self.say(f"deleted {key[1]}")


class InstanceDetail(InstanceActions, TextScreen):
    """An instance in full."""

    KEYS = tuple(key for key in keys.INSTANCES if key.action not in {"detail", "new"})
    SECTION = "instances"
    BINDINGS = keys.bindings(*KEYS)

    def __init__(self, key: Key) -> None:
        TextScreen.__init__(self, f"Instance {key[0]}/{key[1]}")
        self._key = key

    def target(self) -> Key | None:
        """Return the instance."""
        return self._key

    def version(self) -> object:
        """Return the instance's item, which differs when the instance does."""
        runs = self.world.live(RUNS).items.values()
        own = tuple(run for run in runs if (run.key[0], run.instance) == self._key)
        return self.world.live(INSTANCES).items.get(self._key), own

    async def load(self) -> None:
        """Read the instance, and show it."""
        body = await self.world.client.get(INSTANCES, *self._key)
        events = await operations.events_of(self.world.client, self._key[0], {self._key[1]})
        runs = [r for r in self.world.live(RUNS).items.values() if (r.key[0], r.instance) == self._key]
        self.pane.show(instance_blocks(body, runs, events, self.world.now))

    def kubectl_line(self) -> str:
        """Return the line that gets the instance."""
        return ObjectActions.kubectl_line(self)


__all__: Sequence[str] = ("InstanceActions", "InstanceDetail")
