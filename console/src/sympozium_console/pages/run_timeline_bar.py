"""The timeline of a run as a bar: what it waited for, and how long. Pure."""

from dataclasses import dataclass
from itertools import pairwise

from sympozium_console.run_timeline import Moment, Timeline

WIDTH = 1000
"""Units of the bar's width."""
_STAGES = {
    "accepted": ("Waits for its start", "waits"),
    "job": ("Pod starts", "starts"),
    "started": ("Waits for the model", "asks"),
    "firstToken": ("Model answers", "answers"),
}
"""State of a run from a moment on, and the class of its part of the bar."""
_TITLES = {
    "accepted": "Accepted",
    "job": "Job created",
    "started": "Pod runs",
    "firstToken": "First token",
    "ended": "Ended",
}
_LEAST = 4


@dataclass(frozen=True)
class Stage:
    """One part of the bar."""

    title: str
    style: str
    x: int
    width: int
    ms: int


@dataclass(frozen=True)
class NamedMoment:
    """One row of the table below the bar."""

    name: str
    title: str
    at: float
    """Seconds since 1970."""
    ms: int


@dataclass(frozen=True)
class TimelineBar:
    """Bar and table."""

    stages: list[Stage]
    moments: list[NamedMoment]

    @classmethod
    def of(cls, timeline: Timeline) -> "TimelineBar":
        """Return the bar of a timeline; without stages if less than two moments are known."""
        moments = _ordered(timeline.moments)
        return cls(stages=_stages(moments), moments=moments)


def _ordered(moments: list[Moment]) -> list[NamedMoment]:
    """Return moments in the order in which they follow one another: those in whole seconds may seem to come before others."""
    named = {moment.name: moment for moment in moments}
    ordered, last = list[NamedMoment](), 0
    for name, title in _TITLES.items():
        if moment := named.get(name):
            last = max(last, moment.ms)
            ordered.append(NamedMoment(name, title, moment.at.timestamp(), last))
    return ordered


def _stages(moments: list[NamedMoment]) -> list[Stage]:
    whole = max((moment.ms for moment in moments), default=0)
    if not whole:
        return []
    stages = list[Stage]()
    for begin, end in pairwise(moments):
        title, style = _STAGES.get(begin.name, ("", "waits"))
        ms = max(0, end.ms - begin.ms)
        x = round(WIDTH * begin.ms / whole)
        width = max(_LEAST, round(WIDTH * ms / whole))
        stages.append(Stage(title, style, min(x, WIDTH - _LEAST), width, ms))
    return stages
