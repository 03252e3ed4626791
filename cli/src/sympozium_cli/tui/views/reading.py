"""Reading of objects whose schema may be another version's: what is missing, or has another type, is None. Pure."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sympozium_api.resources import Object
from sympozium_api.timestamps import parse_timestamp
from sympozium_cli.plain_text import plain

Key = tuple[str, str]
"""Namespace and name of an object."""


@dataclass(frozen=True, slots=True)
class NamedItem:
    """An item of a list that is in the order of names."""

    key: Key

    @property
    def order(self) -> Key:
        """Position in the list: by namespace and name."""
        return self.key


def at(body: Any, *path: str) -> Any:
    """Return the value at a path of members; None if there is none."""
    for member in path:
        body = body.get(member) if isinstance(body, dict) else None
    return body


def text_at(body: Any, *path: str) -> str:
    """Return the value at a path as one line; empty if there is none."""
    value = at(body, *path)
    return "" if value is None else plain(value)


def items_at(body: Any, *path: str) -> list[Any]:
    """Return the list at a path; empty if there is none."""
    value = at(body, *path)
    return value if isinstance(value, list) else []


def count_at(body: Any, *path: str) -> int | None:
    """Return the whole number at a path; None if there is none."""
    value = at(body, *path)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def key_of(body: Object) -> Key:
    """Return namespace and name of an object."""
    return at(body, "metadata", "namespace") or "", at(body, "metadata", "name") or ""


def moment(text: Any) -> datetime | None:
    """Return a timestamp's time; None for what is no timestamp."""
    try:
        found = parse_timestamp(text)
    except (TypeError, ValueError):
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def age(since: datetime | None, now: datetime) -> str:
    """Return the time since then as ``kubectl`` does: ``42s``, ``5m12s``, ``3h05m``, ``2d``; empty if it is not known."""
    if since is None:
        return ""
    seconds = max(0, int((now - since).total_seconds()))
    if seconds < 100:
        return f"{seconds}s"
    minutes, hours, days = seconds // 60, seconds // 3600, seconds // 86400
    if minutes < 10:
        return f"{minutes}m{seconds % 60:02}s"
    if minutes < 180:
        return f"{minutes}m"
    if hours < 48:
        return f"{hours}h"
    return f"{days}d"


def condition(body: Object, kind: str) -> Object | None:
    """Return the condition of this type in an object's status; None if it has none."""
    found = [item for item in items_at(body, "status", "conditions") if at(item, "type") == kind]
    return found[0] if found else None


def number(value: int | None) -> str:
    """Return a number with blanks between its thousands; empty if it is not known."""
    return "" if value is None else f"{value:,}".replace(",", "\u202f" if value >= 10_000 else "")
