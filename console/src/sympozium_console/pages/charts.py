"""Charts as numbers for SVG: bars that stand on one another, and lines. Pure; a table with the same numbers is beside each."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

WIDTH, HEIGHT = 480, 160
_LEFT, _BOTTOM, _TOP = 52, 22, 10
_GAP = 0.2
"""Part of a bar's room that stays empty."""
_STEPS = (1, 2, 5)
_MOST_LABELS = 5


@dataclass(frozen=True)
class Series:
    """Values by bucket; None: there is none."""

    title: str
    style: str
    """Class of its bars or its line: ``good``, ``bad``, ``off``, ``accent``, ``waiting``, ``p50``, ``p95``."""
    values: Sequence[float | None]


@dataclass(frozen=True)
class Bar:
    """A rectangle."""

    style: str
    x: float
    y: float
    width: float
    height: float
    title: str


@dataclass(frozen=True)
class Label:
    """A text at an axis."""

    x: float
    y: float
    text: str


@dataclass(frozen=True)
class Chart:
    """Shapes that a template draws."""

    title: str
    series: Sequence[Series]
    times: Sequence[datetime]
    bars: list[Bar]
    lines: list[tuple[str, str]]
    """Class and points of each line."""
    marks: list[tuple[str, float, float]]
    """Class and place of values that no line reaches, because both neighbours are missing."""
    grid: list[Label]
    """Lines across, with their values."""
    labels: list[Label]
    width: int = WIDTH
    height: int = HEIGHT
    left: int = _LEFT

    @property
    def is_empty(self) -> bool:
        """True if there is nothing to draw."""
        return not any(value for one in self.series for value in one.values)


def bar_chart(title: str, times: Sequence[datetime], series: Sequence[Series]) -> Chart:
    """Return a chart whose bars stand on one another."""
    totals = [sum(one.values[at] or 0 for one in series) for at in range(len(times))]
    top = _top(max(totals, default=0))
    step = _step(times)
    bars = list[Bar]()
    for at, moment in enumerate(times):
        below = 0.0
        for one in series:
            value = one.values[at] or 0
            if value:
                height = value / top * (HEIGHT - _BOTTOM - _TOP)
                x = _LEFT + at * step + step * _GAP / 2
                y = HEIGHT - _BOTTOM - below - height
                words = f"{moment:%Y-%m-%d %H:%M} UTC, {one.title}: {value:,.0f}"
                bars.append(
                    Bar(one.style, round(x, 1), round(y, 1), round(step * (1 - _GAP), 1), round(height, 1), words)
                )
                below += height
    return Chart(title, series, times, bars, [], [], _grid(top, _short), _labels(times))


def line_chart(title: str, times: Sequence[datetime], series: Sequence[Series]) -> Chart:
    """Return a chart with a line per series, in milliseconds, which breaks where a value is missing."""
    top = _top(max((value or 0 for one in series for value in one.values), default=0))
    step, lines, marks = _step(times), list[tuple[str, str]](), list[tuple[str, float, float]]()
    for one in series:
        part = list[tuple[float, float]]()
        for at, value in enumerate([*one.values, None]):
            if value is not None:
                y = HEIGHT - _BOTTOM - value / top * (HEIGHT - _BOTTOM - _TOP)
                part.append((round(_LEFT + (at + 0.5) * step, 1), round(y, 1)))
                continue
            if len(part) > 1:
                lines.append((one.style, " ".join(f"{x},{y}" for x, y in part)))
            elif part:
                marks.append((one.style, *part[0]))
            part = []
    return Chart(title, series, times, [], lines, marks, _grid(top, _duration), _labels(times))


def _step(times: Sequence[datetime]) -> float:
    return (WIDTH - _LEFT) / max(1, len(times))


def _top(highest: float) -> float:
    """Return the least round number that is not below the highest value."""
    size = 1.0
    while True:
        for step in _STEPS:
            if step * size >= highest:
                return step * size
        size *= 10


def _grid(top: float, text: Callable[[float], str]) -> list[Label]:
    room = HEIGHT - _BOTTOM - _TOP
    return [Label(_LEFT, round(_TOP + room * (1 - part), 1), text(top * part)) for part in (0.5, 1)]


def _short(value: float) -> str:
    for size, sign in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= size:
            return f"{value / size:g}{sign}"
    return f"{value:g}"


def _duration(milliseconds: float) -> str:
    return f"{milliseconds:g} ms" if milliseconds < 1000 else f"{_short(milliseconds / 1000)} s"


def _labels(times: Sequence[datetime]) -> list[Label]:
    if not times:
        return []
    every = -(-len(times) // _MOST_LABELS)
    is_long = (times[-1] - times[0]).days >= 2
    form = "%d %b" if is_long else "%H:%M"
    step = _step(times)
    return [
        Label(round(_LEFT + at * step, 1), HEIGHT - 5, times[at].strftime(form)) for at in range(0, len(times), every)
    ]
