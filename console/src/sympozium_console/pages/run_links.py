"""Links from a run to its log and its trace in systems that the installation names. Pure."""

from collections.abc import Mapping
from urllib.parse import quote

from sympozium_api.timestamps import parse_timestamp
from sympozium_api.trace_context import TraceContext
from sympozium_console.pages.run_view import RunView

_AROUND_SECONDS = 60


def links_of(view: RunView, templates: Mapping[str, str], now: float) -> list[tuple[str, str]]:
    """Return title and address of each link, without those whose values the run does not have. ``now``: seconds since 1970.

    A template may have ``{namespace}``, ``{pod}``, ``{run}``, ``{trace}``, and ``{from}`` and ``{to}``, which are milliseconds since
    1970, a minute before and after the run.
    """
    body = view.body or {}
    status, metadata = body.get("status") or {}, body.get("metadata") or {}
    trace = TraceContext.of_annotations(metadata.get("annotations") or {})
    completed = status.get("completedAt")
    ended = parse_timestamp(completed).timestamp() if completed else view.deleted or now
    values = {
        "{namespace}": view.namespace,
        "{run}": view.name,
        "{pod}": str(status.get("podName") or ""),
        "{trace}": trace.trace_id if trace else "",
        "{from}": _milliseconds(view.accepted - _AROUND_SECONDS) if view.accepted else "",
        "{to}": _milliseconds(ended + _AROUND_SECONDS),
    }
    return [
        (title, _filled(template, values))
        for title, template in templates.items()
        if all(value for place, value in values.items() if place in template)
    ]


def _filled(template: str, values: Mapping[str, str]) -> str:
    """Return an address; a value never leaves its part of it."""
    for place, value in values.items():
        template = template.replace(place, quote(value, safe=""))
    return template


def _milliseconds(seconds: float) -> str:
    return str(int(seconds * 1000))
