"""The six views: instances, runs, skills, config, events, usage."""

from collections.abc import Sequence
from typing import Any, ClassVar

from sympozium_api.resources import CONFIGS, EVENTS, INSTANCES, RUNS, SKILL_PACKS, ResourceType
from sympozium_cli.tui import keys
from sympozium_cli.tui.screens.instance_actions import InstanceActions
from sympozium_cli.tui.screens.list_screen import ListScreen
from sympozium_cli.tui.screens.object_actions import ObjectActions
from sympozium_cli.tui.screens.run_actions import RunActions
from sympozium_cli.tui.screens.text_screen import LoadedText
from sympozium_cli.tui.views import configs, details, events, instances, kubectl_lines, packs, runs, usage
from sympozium_cli.tui.views.columns import Cell
from sympozium_cli.tui.views.reading import Key
from sympozium_cli.tui.views.states import Live
from sympozium_cli.tui.views.window import Window
from sympozium_cli.tui.widgets.row_table import TableRow
from sympozium_cli.tui.widgets.text_pane import Block


class InstancesView(InstanceActions, ListScreen):
    """The list of instances."""

    VIEW = SECTION = "instances"
    COLUMNS = instances.COLUMNS
    KEYS = keys.INSTANCES
    BINDINGS = keys.bindings(*keys.INSTANCES)

    def show_window(self, shown: Window[Any]) -> list[TableRow]:
        """Return the rows, with the numbers of each instance's runs."""
        live = self.world.live(RUNS)
        counts = instances.run_counts(live.items.values(), self.world.now) if isinstance(live.state, Live) else None
        none = None if counts is None else instances.RunCounts()

        def cells(item: Any) -> tuple[Cell, ...]:
            own = none if counts is None else counts.get(item.key, none)
            return instances.instance_cells(item, self.world.now, own)

        return [TableRow(item.key, cells(item)) for item in shown.items]


class RunsView(RunActions, ListScreen):
    """The list of runs, newest first."""

    VIEW = SECTION = "runs"
    COLUMNS = runs.COLUMNS
    NEWEST_FIRST = True
    KEYS = keys.RUNS
    BINDINGS = keys.bindings(*keys.RUNS)

    def __init__(self, filter_text: str = "", *, instance: Key | None = None) -> None:
        ListScreen.__init__(self, filter_text)
        self.instance = instance
        self.phase = ""

    def accepts(self, item: Any) -> bool:
        """Return true if a run has the phase and the instance that were chosen."""
        of_instance = self.instance is None or (item.key[0], item.instance) == self.instance
        return of_instance and self.phase in {"", item.phase}

    def own_filter(self) -> str:
        """Return phase and instance in words."""
        of = f"of {self.instance[0]}/{self.instance[1]}" if self.instance else ""
        return " ".join(filter(None, (self.phase, of)))

    def cells(self, item: Any) -> tuple[Cell, ...]:
        """Return a run's cells."""
        return runs.run_cells(item, self.world.now)

    def title_cells(self) -> list[Cell]:
        """Return what ListScreen does, and whether the newest run is followed."""
        follows = [Cell("  following the newest", "good")] if self.table.keeps_first else []
        return super().title_cells() + follows

    def action_phase(self) -> None:
        """Take the next phase filter."""
        self.phase = runs.next_phase(self.phase)
        self.refresh_view()

    def action_follow(self) -> None:
        """Keep the cursor on the newest run, or no longer."""
        self.table.keeps_first = not self.table.keeps_first
        self.refresh_view()

    def go_back(self) -> None:
        """Clear the filter, then the phase, then the instance."""
        if self.filter_text():
            self.set_filter("")
        elif self.phase:
            self.phase = ""
        elif self.instance:
            self.ui.show_instance(self.instance, detail=False)
            return
        self.refresh_view()


class SkillsView(ObjectActions, ListScreen):
    """The list of SkillPacks."""

    VIEW = SECTION = "skills"
    KIND: ClassVar[ResourceType] = SKILL_PACKS
    COLUMNS = packs.COLUMNS
    KEYS = keys.SKILLS
    BINDINGS = keys.bindings(*keys.SKILLS)

    def _users(self, item: Any) -> int | None:
        live = self.world.live(INSTANCES)
        if not isinstance(live.state, Live):
            return None
        return sum(item.key[1] in instance.skills for instance in live.items.values())

    def cells(self, item: Any) -> tuple[Cell, ...]:
        """Return a SkillPack's cells."""
        return packs.pack_cells(item, self.world.now, self._users(item))

    def action_detail(self) -> None:
        """Show its texts, params and users."""
        if key := self.target():

            async def read() -> Sequence[Block]:
                body = await self.world.client.get(SKILL_PACKS, *key)
                return details.pack_blocks(body, list(self.world.live(INSTANCES).items.values()))

            line = kubectl_lines.of_object(self.world.kubectl_args, "get", SKILL_PACKS, key, "-o", "yaml")
            self.app.push_screen(LoadedText(f"SkillPack {key[0]}/{key[1]}", read, kubectl_line=line))


class ConfigView(ObjectActions, ListScreen):
    """The list of SympoziumConfigs."""

    VIEW = SECTION = "config"
    KIND: ClassVar[ResourceType] = CONFIGS
    COLUMNS = configs.COLUMNS
    KEYS = keys.CONFIG
    BINDINGS = keys.bindings(*keys.CONFIG)

    def cells(self, item: Any) -> tuple[Cell, ...]:
        """Return a SympoziumConfig's cells."""
        return configs.config_cells(item, self.world.now)

    def action_detail(self) -> None:
        """Show the gateway as asked for and as it is."""
        if key := self.target():

            async def read() -> Sequence[Block]:
                return details.config_blocks(await self.world.client.get(CONFIGS, *key))

            line = kubectl_lines.of_object(self.world.kubectl_args, "get", CONFIGS, key, "-o", "yaml")
            self.app.push_screen(LoadedText(f"Config {key[0]}/{key[1]}", read, kubectl_line=line))


class EventsView(ListScreen):
    """The list of events, newest first."""

    VIEW = SECTION = "events"
    KIND: ClassVar[ResourceType] = EVENTS
    COLUMNS = events.COLUMNS
    NEWEST_FIRST = True
    KEYS = keys.EVENTS
    BINDINGS = keys.bindings(*keys.EVENTS)

    def cells(self, item: Any) -> tuple[Cell, ...]:
        """Return an event's cells."""
        return events.event_cells(item, self.world.now)

    def action_detail(self) -> None:
        """Show the whole event."""
        item = self.selected_item()
        if item is not None:

            async def read() -> Sequence[Block]:
                return details.event_blocks(item)

            self.app.push_screen(LoadedText(f"Event {item.reason}", read, kubectl_line=self.kubectl_line()))

    def kubectl_line(self) -> str:
        """Return the line that lists events."""
        return kubectl_lines.of_list(self.world.kubectl_args, EVENTS, self.world.namespace)


class UsageView(ListScreen):
    """Figures of the runs that Kubernetes has, in groups."""

    VIEW = SECTION = "usage"
    KIND: ClassVar[ResourceType] = RUNS
    COLUMNS = usage.COLUMNS
    NEWEST_FIRST = True
    KEYS = keys.USAGE
    BINDINGS = keys.bindings(*keys.USAGE)

    def __init__(self, filter_text: str = "") -> None:
        super().__init__(filter_text)
        self.by: usage.By = "instance"

    def items(self) -> list[Any]:
        """Return the groups."""
        return usage.usage_items(self.live.items.values(), self.by)

    def cells(self, item: Any) -> tuple[Cell, ...]:
        """Return a group's cells."""
        return usage.usage_cells(item)

    def title_cells(self) -> list[Cell]:
        """Return what ListScreen does, the kind of groups, and since when runs are counted."""
        since = usage.counted_since(self.live.items.values())
        return [*super().title_cells(), Cell(f"  by {self.by}"), Cell(f"  {since}", "dim")]

    def action_by(self) -> None:
        """Take the next kind of groups."""
        self.by = usage.GROUPS[(usage.GROUPS.index(self.by) + 1) % len(usage.GROUPS)]
        self.refresh_view()

    def action_detail(self) -> None:
        """Show the runs of the group."""
        if key := self.target():
            if self.by == "instance":
                self.ui.show_view("runs", instance=key)
            else:
                self.ui.show_view("runs", filter_text=key[1])

    def kubectl_line(self) -> str:
        """Return the line that lists the runs that are counted."""
        return kubectl_lines.of_list(self.world.kubectl_args, RUNS, self.world.namespace)
