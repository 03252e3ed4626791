"""Keys that all kinds share: describe, YAML, edit."""

import asyncio
from collections.abc import Sequence
from typing import ClassVar

from sympozium_api.client import ApiError
from sympozium_api.resources import Object, ResourceType
from sympozium_cli.failures import Failure
from sympozium_cli.tui.operations import save
from sympozium_cli.tui.screens.base import BaseScreen
from sympozium_cli.tui.screens.prompts import Question
from sympozium_cli.tui.screens.text_screen import LoadedText
from sympozium_cli.tui.views import kubectl_lines
from sympozium_cli.tui.views.lines import Line, foreign
from sympozium_cli.tui.views.reading import Key
from sympozium_cli.tui.widgets.text_pane import Block


class ObjectActions(BaseScreen):
    """A screen on which an object of one kind is selected, or shown: ``target`` is its key."""

    KIND: ClassVar[ResourceType]

    def kubectl_line(self) -> str:
        """Return the line that gets the object, or lists its kind."""
        args, key = self.world.kubectl_args, self.target()
        if key is None:
            return kubectl_lines.of_list(args, self.KIND, self.world.namespace)
        return kubectl_lines.of_object(args, "get", self.KIND, key, "-o", "yaml")

    def action_describe(self) -> None:
        """Show what ``kubectl describe`` says."""
        if key := self.target():
            line = kubectl_lines.of_object(self.world.kubectl_args, "describe", self.KIND, key)

            async def read() -> Sequence[Block]:
                return foreign(await self._kubectl(*kubectl_lines.words(line)))

            self.app.push_screen(LoadedText(f"Describe {key[0]}/{key[1]}", read, kubectl_line=line))

    async def _kubectl(self, *words: str) -> str:
        """Return what kubectl prints. Raises Failure with kubectl's words."""
        pipe = asyncio.subprocess.PIPE
        try:
            process = await asyncio.create_subprocess_exec(
                *words, stdin=asyncio.subprocess.DEVNULL, stdout=pipe, stderr=pipe
            )
        except OSError as error:
            raise Failure(f"kubectl cannot be started: {error}") from None
        try:
            out, err = await process.communicate()
        finally:
            if process.returncode is None:  # nobody waits for it any more
                process.kill()
                await process.wait()
        if process.returncode:
            raise Failure(err.decode(errors="replace").strip() or f"kubectl ended with {process.returncode}")
        return out.decode(errors="replace")

    def action_yaml(self) -> None:
        """Show the object as YAML."""
        from sympozium_cli.tui import manifests

        if key := self.target():
            line = kubectl_lines.of_object(self.world.kubectl_args, "get", self.KIND, key, "-o", "yaml")

            async def read() -> Sequence[Block]:
                return foreign(manifests.dumped(await self.world.client.get(self.KIND, *key)))

            self.app.push_screen(LoadedText(f"YAML {key[0]}/{key[1]}", read, kubectl_line=line))

    def action_edit(self) -> None:
        """Edit the object in $EDITOR."""
        if (key := self.target()) and self.may_write():
            self.work(self._edit(key))

    async def _edit(self, key: Key) -> None:
        from sympozium_cli.tui import manifests

        read = await self.world.client.get(self.KIND, *key)
        before = manifests.editable(read)
        text = await self.ui.edit_text(before)
        if text == before:
            self.say("nothing was changed")
            return
        wanted = manifests.edited(read, text)
        try:
            await self.world.client.replace(self.KIND, key[0], wanted, strict=True, dry_run=True)
        except ApiError as error:
            if error.status != 409:
                raise
        await self._ask_and_save(key, read, wanted, manifests.differences(before, manifests.editable(wanted)))

    async def _ask_and_save(self, key: Key, read: Object, wanted: Object, lines: Sequence[Line]) -> None:
        asked = [Line("A dry run accepts it. Save it?", "strong"), Line(), *lines]
        if not await self.app.push_screen_wait(Question(asked, yes="save")):
            self.say("nothing was saved", failed=True)
            return
        try:
            await save(self.world.client, self.KIND, read, wanted)
        except ApiError as error:
            if error.status != 409:
                raise
            raise Failure(
                "somebody else has changed it meanwhile, nothing was saved; e edits the newest version"
            ) from error
        self.world.done_line = kubectl_lines.of_object(self.world.kubectl_args, "edit", self.KIND, key)
        self.say(f"saved {key[1]}")
