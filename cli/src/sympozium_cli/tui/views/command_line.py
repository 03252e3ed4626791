"""The command line behind ``:``: what it completes, and what a line means. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass, field

VIEWS = ("instances", "runs", "skills", "config", "events", "usage")
_ALIASES = {"instance": "instances", "run": "runs", "skill": "skills", "skillpacks": "skills", "event": "events"}
_MOST_LINES = 50


@dataclass(frozen=True)
class Command:
    """A line that was understood: the view, the namespace (``""``: all) or the context to go to, or the end."""

    verb: str
    """A view's name, ``ns``, ``ctx`` or ``q``."""
    argument: str = ""


class NotUnderstood(ValueError):
    """A line that means nothing; the message says what would."""


def parse(line: str) -> Command:
    """Return the meaning of a line. Raises NotUnderstood."""
    verb, _, argument = line.strip().removeprefix(":").partition(" ")
    verb, argument = _ALIASES.get(verb, verb), argument.strip()
    if verb in {"q", "quit"}:
        return Command("q")
    if verb in {"ns", "ctx"} and argument:
        return Command(verb, "" if verb == "ns" and argument == "all" else argument)
    found = [view for view in VIEWS if verb and view.startswith(verb)]
    if len(found) == 1:
        return Command(found[0], argument)
    raise NotUnderstood(f"“{line.strip()}” is none of {', '.join(VIEWS)}, ns NAME, ns all, ctx NAME, q")


def completions(line: str, namespaces: Sequence[str] = (), contexts: Sequence[str] = ()) -> list[str]:
    """Return the lines that a line may become."""
    verb, blank, start = line.removeprefix(":").partition(" ")
    if not blank:
        return [word for word in (*VIEWS, "ns", "ctx", "q") if word.startswith(verb)]
    names = {"ns": ["all", *sorted(namespaces)], "ctx": sorted(contexts)}.get(verb, [])
    return [f"{verb} {name}" for name in names if name.startswith(start)]


@dataclass
class History:
    """Lines that were entered, oldest first, and the place in them."""

    lines: list[str] = field(default_factory=list)
    _place: int = 0

    def add(self, line: str) -> None:
        """Keep a line, once, as the newest."""
        self.lines = [*(old for old in self.lines if old != line), line][-_MOST_LINES:]
        self._place = len(self.lines)

    def older(self) -> str:
        """Return the line before the place; the oldest again at the end."""
        self._place = max(0, self._place - 1)
        return self.lines[self._place] if self.lines else ""

    def newer(self) -> str:
        """Return the line after the place; empty after the newest."""
        self._place = min(len(self.lines), self._place + 1)
        return self.lines[self._place] if self._place < len(self.lines) else ""
