"""Skills of an instance, each with a switch that acts at once."""

from collections.abc import Sequence

from textual.widget import Widget

from sympozium_api.resources import INSTANCES, Object
from sympozium_cli.object_changes import change
from sympozium_cli.plain_text import plain
from sympozium_cli.tui import keys
from sympozium_cli.tui.operations import packs_for
from sympozium_cli.tui.screens.base import BaseScreen
from sympozium_cli.tui.screens.form import FormScreen
from sympozium_cli.tui.views import kubectl_lines
from sympozium_cli.tui.views.columns import Cell
from sympozium_cli.tui.views.forms import Field
from sympozium_cli.tui.views.packs import PackItem
from sympozium_cli.tui.views.reading import Key
from sympozium_cli.tui.views.skills import (
    COLUMNS,
    Placement,
    SkillChoice,
    Switch,
    choice_cells,
    choices,
    placement,
    taken_back,
    turned,
    with_params,
)
from sympozium_cli.tui.widgets.row_table import RowTable, TableRow


class SkillsOfInstance(BaseScreen):
    """The list with ``[x]``: Space writes the switch to the cluster, and says whether it was saved."""

    KEYS = keys.TOGGLES
    SECTION = "skills of an instance"
    BINDINGS = keys.bindings(*keys.TOGGLES)

    def __init__(self, key: Key) -> None:
        super().__init__()
        self.heading = f"Skills of {key[0]}/{key[1]}"
        self.table = RowTable(COLUMNS)
        self._key = key
        self._instance: Object | None = None
        self._packs: list[PackItem] = []
        self._states: dict[Key, str] = {}
        self._undo: list[Switch] = []
        self._seen: object = None

    def body(self) -> Sequence[Widget]:
        """Return the table."""
        return [self.table]

    def on_mount(self) -> None:
        """Read the skills."""
        super().on_mount()
        self.table.focus()
        self.work(self._read())

    async def _read(self) -> None:
        self._packs = await packs_for(self.world.client, self._key[0])
        self._instance = await self.world.client.get(INSTANCES, *self._key)
        self._show()

    def refresh_view(self) -> None:
        """Read the instance again if somebody has changed it."""
        super().refresh_view()
        item = self.world.live(INSTANCES).items.get(self._key)
        if self._instance is not None and item != self._seen:
            self._seen = item
            self.work(self._read_instance())

    async def _read_instance(self) -> None:
        self._instance = await self.world.client.get(INSTANCES, *self._key)
        self._show()

    @property
    def choices(self) -> list[SkillChoice]:
        """The skills that the instance has or may have."""
        return choices(self._instance, self._packs) if self._instance else []

    def _show(self) -> None:
        rows = [((choice.kind, choice.name), choice) for choice in self.choices]
        self.table.show([TableRow(key, choice_cells(choice, self._states.get(key, ""))) for key, choice in rows])

    def _selected(self) -> SkillChoice | None:
        key = self.table.selected
        return next((choice for choice in self.choices if (choice.kind, choice.name) == key), None)

    def action_switch(self) -> None:
        """Switch the skill at the cursor."""
        if (choice := self._selected()) and self.may_write():
            self._write(choice, None)

    def action_undo(self) -> None:
        """Take the last switch back, with the params and the position that the skill had."""
        if not self._undo:
            self.say("nothing to undo", failed=True)
        elif self.may_write():
            self._write(self._undo[-1].choice, self._undo[-1])

    def _write(self, choice: SkillChoice, undone: Switch | None) -> None:
        key = (choice.kind, choice.name)
        if self._states.get(key) == "saving…":
            return

        def on_failure(why: str) -> None:
            self._states[key] = f"✗ {why}"
            self._show()

        self._states[key] = "saving…"
        self._show()
        self.work(self._change(choice, undone), on_failure)

    async def _change(self, choice: SkillChoice, undone: Switch | None) -> None:
        """Write what the user sees the key do: a skill that is shown off is on afterwards, whoever else switched it."""
        before: list[Placement] = []

        def changed(body: Object) -> Object:
            before[:] = [placement(body, choice)]
            return turned(body, choice, on=not choice.is_on) if undone is None else taken_back(body, undone)

        self._instance, _ = await change(self.world.client, INSTANCES, self._key, changed)
        if undone is None:
            self._undo.append(Switch(choice, before[0], placement(self._instance, choice)))
        else:
            self._undo.remove(undone)
        self._states[choice.kind, choice.name] = "saved"
        is_on = any((c.kind, c.name, c.is_on) == (choice.kind, choice.name, True) for c in self.choices)
        spec = self._instance["spec"]
        patch = {"spec": {name: spec[name] for name in ("skills", "webEndpoint") if name in spec}}
        self.world.done_line = kubectl_lines.of_patch(self.world.kubectl_args, INSTANCES, self._key, patch)
        self._show()
        undo = "; u takes it back" if undone is None else ""
        self.say(f"{choice.name} is {'on' if is_on else 'off'}{undo}")

    def action_params(self) -> None:
        """Show the form of the skill's params."""
        choice = self._selected()
        if choice and not choice.is_on:
            self.say("the skill is off: Space switches it on", failed=True)
        elif choice and not choice.params:
            self.say("the skill has no params", failed=True)
        elif choice:
            self.app.push_screen(ParamsForm(self._key, choice, self._packs))

    def on_screen_resume(self) -> None:
        """Read what a form has changed."""
        super().on_screen_resume()
        if self._instance is not None:
            self.work(self._read_instance())

    def title_cells(self) -> list[Cell]:
        """Return the instance, and what Space does."""
        return [*super().title_cells(), Cell("   Space writes at once", "dim")]

    def kubectl_line(self) -> str:
        """Return the line that shows the skills."""
        path = "jsonpath={.spec.skills}"
        return kubectl_lines.of_object(self.world.kubectl_args, "get", INSTANCES, self._key, "-o", path)


class ParamsForm(FormScreen):
    """Params of a skill; an empty one has its default."""

    def __init__(self, key: Key, choice: SkillChoice, packs: Sequence[PackItem]) -> None:
        pack = next((pack for pack in packs if pack.key[1] == choice.name), None)
        words = {name: f"{text} (default: {default})" for name, default, text in pack.params} if pack else {}
        self._names = {f"param-{index}": name for index, (name, _) in enumerate(choice.params)}
        values = dict(choice.params)
        fields = [Field(id_, name, plain(values[name]), words.get(name, "")) for id_, name in self._names.items()]
        super().__init__(f"Params of {choice.name} in {key[0]}/{key[1]}", fields)
        self._key = key
        self._choice = choice
        self._defaults = {name: default for name, default, _ in pack.params} if pack else {}

    async def save(self, edited: dict[str, str | bool]) -> None:
        """Write the params that were edited; one with its default's value is left out."""
        values = {self._names[id_]: str(text) for id_, text in edited.items()}
        own = {name: "" if value == self._defaults.get(name) else value for name, value in values.items()}
        await change(self.world.client, INSTANCES, self._key, lambda body: with_params(body, self._choice, own))
