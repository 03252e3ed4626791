"""The frame of every screen: where one is, what it shows, what was done last, and the keys."""

from collections.abc import Callable, Coroutine, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, cast

from textual.app import ComposeResult
from textual.screen import Screen
from textual.widget import Widget

from sympozium_api.client import ApiError, ApiUnavailable
from sympozium_cli.failures import Failure
from sympozium_cli.plain_text import plain
from sympozium_cli.tui import keys
from sympozium_cli.tui.keys import KeyHelp
from sympozium_cli.tui.views.columns import Cell
from sympozium_cli.tui.views.lines import Line
from sympozium_cli.tui.views.reading import Key
from sympozium_cli.tui.views.states import away_line, place
from sympozium_cli.tui.widgets.bar import Bar
from sympozium_cli.tui.widgets.status_line import StatusLine
from sympozium_cli.tui.world import World

if TYPE_CHECKING:
    from sympozium_cli.tui.app import SympoziumApp


class BaseScreen(Screen[None]):
    """A screen with the frame. ``KEYS`` are its own keys, for the line at the bottom and for the help."""

    DEFAULT_CSS = """
    BaseScreen #top { background: $panel; }
    BaseScreen #title { color: $text-accent; text-style: bold; }
    BaseScreen #keys { background: $panel; }
    """
    KEYS: ClassVar[tuple[KeyHelp, ...]] = ()
    SECTION: ClassVar[str] = ""
    """Name in ``keys.SECTIONS`` of the keys that the help shows first."""

    heading = ""
    """Name of what the screen shows."""

    @property
    def ui(self) -> "SympoziumApp":
        """The application."""
        return cast("SympoziumApp", self.app)

    @property
    def world(self) -> World:
        """The state that all screens share."""
        return self.ui.world

    def compose(self) -> ComposeResult:
        """Yield the frame and, in it, what ``body`` yields."""
        yield Bar(id="top")
        yield Bar(id="title")
        yield from self.body()
        yield StatusLine()
        yield Bar(id="keys")

    def body(self) -> Sequence[Widget]:
        """Return the widgets between the title and the last lines."""
        raise NotImplementedError

    def on_mount(self) -> None:
        """Fill the frame."""
        self.refresh_view()

    def on_screen_resume(self) -> None:
        """Show what has changed while another screen was over this one."""
        self.refresh_view()

    def refresh_view(self) -> None:
        """Show what has changed. Called at changes, at most ten times a second, and each second."""
        self._show_top()
        self.query_one("#title", Bar).show(self.title_cells())
        everywhere = [key for key in keys.EVERYWHERE if key.action != "filter" or self.filter_text() is not None]
        pairs = keys.key_line(*self.KEYS, *everywhere)
        self.query_one("#keys", Bar).show([c for key, word in pairs for c in (Cell(key, "strong"), Cell(f" {word}  "))])

    def _show_top(self) -> None:
        world = self.world
        state = Cell("✗ away", "bad") if world.away_since else Cell("● live", "good")
        read_only = [Cell("read-only ", "warn")] if world.read_only else []
        self.query_one("#top", Bar).show(
            [Cell("sympozium ", "strong"), Cell(f"{plain(world.cluster.context)} · {place(world.namespace)}")],
            [*read_only, state],
        )

    def title_cells(self) -> list[Cell]:
        """Return what stands over the body."""
        away = self.world.away_since
        line = [Cell(f"   {away_line(away, self.as_of()).text}", "bad")] if away else []
        return [Cell(self.heading), *line]

    def as_of(self) -> Any:
        """Return the time as of which the rows are; None if none were read."""
        return None

    def say(self, text: str, *, failed: bool = False) -> None:
        """Show in the status line what was done or why not, until the next."""
        line = Line(f"✗ {plain(text)}", "bad") if failed else Line(f"✓ {plain(text)}", "good")
        self.query_one(StatusLine).say(line)

    @property
    def status(self) -> str:
        """The text of the status line."""
        return self.query_one(StatusLine).text

    def may_write(self) -> bool:
        """Return true if changes are permitted here; else say why not."""
        if self.world.read_only:
            self.say("read-only mode: Ctrl+R ends it", failed=True)
        elif self.world.away_since:
            self.say("the cluster does not answer: nothing was changed", failed=True)
        return not self.world.read_only and not self.world.away_since

    def work(self, job: Coroutine[Any, Any, None], on_failure: Callable[[str], None] | None = None) -> None:
        """Do something that takes time; a failure is said in the status line."""

        async def guarded() -> None:
            try:
                await job
            except ApiUnavailable as error:
                failed(f"the cluster does not answer: {error}")
            except ApiError as error:
                failed(error.message)
            except (Failure, ValueError, OSError) as error:
                failed(str(error))

        def failed(why: str) -> None:
            if self.is_attached:
                self.say(why, failed=True)
            if on_failure:
                on_failure(plain(why))

        self.run_worker(guarded(), exit_on_error=True)

    def go_back(self) -> None:
        """Go to the screen before this one."""
        self.app.pop_screen()

    def target(self) -> Key | None:
        """Return the object that keys are about; None: there is none."""
        return None

    def filter_text(self) -> str | None:
        """Return the filter; None: the screen has none."""
        return None

    def set_filter(self, text: str) -> None:
        """Show only what has the words of a text."""

    def kubectl_line(self) -> str:
        """Return the kubectl line of what is selected."""
        return ""
