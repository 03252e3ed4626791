"""Filters of templates: numbers and times as people read them. Pure."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from markupsafe import Markup, escape

from sympozium_api.timestamps import parse_timestamp
from sympozium_console.pages.prose.visible_signs import visible

_SECOND, _MINUTE = 1000, 60
_UNITS = ((86_400, "d"), (3600, "h"), (60, "min"), (1, "s"))


def age(moment: str | float | None, now: float) -> str:
    """Return how long ago a time was, in its largest unit, such as ``5 min``; empty for None."""
    if moment is None:
        return ""
    passed = max(0, int(now - seconds_of(moment)))
    for size, unit in _UNITS:
        if passed >= size:
            return f"{passed // size} {unit}"
    return "now"


def when(moment: str | float | None, now: float) -> Markup:
    """Return a ``time`` element: how long ago, with the exact time in UTC as its title, which a script renews and shows locally."""
    if moment is None:
        return Markup("")
    exact = _exact(moment)
    if exact is None:
        return escape(str(moment))
    text = age(moment, now)
    shown = text if text == "now" else f"{text} ago"
    return Markup('<time datetime="{}" title="{}" data-relative>{}</time>').format(
        exact.isoformat().replace("+00:00", "Z"), exact.strftime("%Y-%m-%d %H:%M:%S UTC"), shown
    )


def clock(moment: float) -> Markup:
    """Return a ``time`` element with the time of day in UTC, to the millisecond, and the whole time as its title."""
    exact = _exact(moment)
    if exact is None:
        return Markup("")
    return Markup('<time datetime="{}" title="{}">{}</time>').format(
        exact.isoformat().replace("+00:00", "Z"), f"{exact:%Y-%m-%d %H:%M:%S} UTC", f"{exact:%H:%M:%S.%f}"[:-3]
    )


def number(value: int | None) -> str:
    """Return a whole number with thin spaces between thousands; a dash for None."""
    return "–" if value is None else f"{value:,}".replace(",", "\u202f")  # noqa: RUF001 - a dash, as in tables


def milliseconds(value: int | None) -> str:
    """Return a duration in its unit, such as ``14 ms``, ``1.4 s`` or ``2 min 05 s``; a dash for None."""
    if value is None:
        return "–"  # noqa: RUF001 - a dash, as in tables
    if value < 1000:
        return f"{value} ms"
    if value < 60_000:
        return f"{value / 1000:.1f} s"
    seconds = value // 1000
    if seconds < 3600:
        return f"{seconds // 60} min {seconds % 60:02} s"
    return f"{seconds // 3600} h {seconds // 60 % 60:02} min"


def pair(value: str) -> tuple[str, str]:
    """Return an option of a choice whose text is its value."""
    return value, value


def seconds_of(moment: str | float) -> float:
    """Return a time as seconds since 1970; a text is an RFC 3339 time."""
    return parse_timestamp(moment).timestamp() if isinstance(moment, str) else moment


def _exact(moment: str | float) -> datetime | None:
    """Return a time; None for one that is none, or that no calendar of four digits has: anybody may have written it."""
    try:
        return datetime.fromtimestamp(seconds_of(moment), UTC)
    except (ValueError, OverflowError):
        return None


FILTERS: dict[str, Callable[..., Any]] = {
    "age": age,
    "when": when,
    "number": number,
    "visible": visible,
    "clock": clock,
    "milliseconds": milliseconds,
    "pair": pair,
}
