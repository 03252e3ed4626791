"""The list of runs, the newest first."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import RedirectResponse, Response
from pydantic import Field

from sympozium_api.names import DNS_LABEL
from sympozium_api.run_status import Phase
from sympozium_api.settings_parser import duration
from sympozium_api.timestamps import parse_timestamp
from sympozium_archive.run_queries import InvalidCursor
from sympozium_archive.times import microseconds
from sympozium_console import console_context, refusals
from sympozium_console.pages.error_pages import PAGE_TAG
from sympozium_console.pages.instance_tabs import Namespace
from sympozium_console.pages.page_query import FormQuery
from sympozium_console.pages.rendering import address, render
from sympozium_console.pages.run_rights import rights_on_runs
from sympozium_console.pages.run_rows import RunLine
from sympozium_console.pages.run_view import RunView, find_run
from sympozium_console.routes.access import visible
from sympozium_console.routes.newest_runs import require_whole_index, run_filter
from sympozium_console.routes.params import Name, RunsQuery
from sympozium_console.run_repository import RunSelection

router = APIRouter(tags=[PAGE_TAG], include_in_schema=False)

PHASES = ("Pending", "Running", "Succeeded", "Failed", "Cancelled")
SERVERS: Phase = "Serving"
"""Phase of the runs behind web endpoints, which the index does not have: there are as many as instances."""
_OWN = ("instance", "phase", "source", "start", "error", "key", "session", "user", "q", "since", "until")


class RunListQuery(FormQuery, RunsQuery):
    """The query of the list."""

    limit: Annotated[int, Field(ge=1, le=200)] = 50
    since: Annotated[str | None, Field(max_length=40)] = None
    """A duration before now, such as ``1h``, or a time."""
    until: Annotated[str | None, Field(max_length=40)] = None
    peek: Annotated[str | None, Field(pattern=f"^{DNS_LABEL}/[-a-z0-9.]{{1,253}}$")] = None
    """Run that is shown beside the list, as namespace and name."""

    @property
    def is_filtered(self) -> bool:
        """Return True if the query hides runs."""
        return any(getattr(self, name) is not None for name in _OWN) or self.before is not None


@dataclass(frozen=True)
class RunPageView:
    """One page of the list."""

    lines: list[RunLine]
    before: str | None
    counts: dict[str, int]
    """Number of runs by phase, of all that the other filters select."""


@router.get("/instances/{namespace}/{name}/runs")
async def get_runs_of_instance(namespace: Namespace, name: Name) -> Response:
    """Lead to the list with the instance's runs."""
    return RedirectResponse(f"/runs?namespace={namespace}&instance={name}", status_code=303)


@router.get("/runs")
async def get_runs(request: Request, params: Annotated[RunListQuery, Query()]) -> Response:
    """Return one page of runs with the number of runs per phase."""
    page = await _servers(request, params) if params.phase == SERVERS else await _indexed(request, params)
    return render(
        request,
        "runs.html",
        title="Runs",
        page=page,
        params=params,
        phase_names=PHASES,
        peek=await _peek(request, params, page) if params.peek else None,
        namespaces=visible(request).namespaces,
        views=_views(request, params),
        rights=await rights_on_runs(request, visible(request).namespace),
    )


async def _indexed(request: Request, params: RunListQuery) -> RunPageView:
    await require_whole_index(request)
    queries, now = console_context.of_request(request).indexed_runs, console_context.of_request(request).clock.now()
    since, until = time_of("since", params.since, now), time_of("until", params.until, now)
    wanted = run_filter(visible(request), params, since, until)
    try:
        page = await queries.newest(wanted, limit=params.limit, before=params.before)
    except InvalidCursor as error:
        raise refusals.bad_field("before", "is not the position of a page") from error
    counts = dict[str, int]()
    for count in await queries.counts(replace(wanted, phase=None)):
        counts[count.phase or ""] = counts.get(count.phase or "", 0) + count.runs
    return RunPageView([RunLine.of_row(row) for row in page.rows], page.before, counts)


async def _servers(request: Request, params: RunListQuery) -> RunPageView:
    """Return the servers behind web endpoints."""
    context, seen = console_context.of_request(request), visible(request)
    if seen.namespaces is not None and not seen.namespaces:
        return RunPageView([], None, {})
    chosen = RunSelection(params.instance, SERVERS, params.source)
    found = await context.runs.page(seen.namespace, params.limit, params.before or "", chosen=chosen)
    lines = [RunLine.of_object(item) for item in found.items]
    own = [line for line in lines if seen.namespaces is None or line.namespace in seen.namespaces]
    return RunPageView([line for line in own if (params.q or "") in line.name], found.next_page or None, {})


async def _peek(request: Request, params: RunListQuery, page: RunPageView) -> "Peek | None":
    namespace, _, name = (params.peek or "").partition("/")
    view = await find_run(request, namespace, name)
    keys = [line.key for line in page.lines]
    at = keys.index(params.peek) if params.peek in keys else None
    return Peek(
        view,
        f"{namespace}/{name}",
        before=keys[at - 1] if at else None,
        after=keys[at + 1] if at is not None and at + 1 < len(keys) else None,
    )


@dataclass(frozen=True)
class Peek:
    """A run beside the list, and its neighbours there."""

    view: RunView | None
    """None: the run is gone, or the caller may not see it."""
    key: str
    before: str | None
    after: str | None


def _views(request: Request, params: RunListQuery) -> list[tuple[str, str, bool]]:
    """Return the quick views: title, address, and whether the list shows it."""
    nothing = dict.fromkeys((*_OWN, "before", "peek"), None)
    views: list[tuple[str, dict[str, str]]] = [
        ("All", {}),
        ("Failed, last hour", {"phase": "Failed", "since": "1h"}),
        ("Waiting", {"phase": "Pending"}),
        ("Running", {"phase": "Running"}),
        ("Serving", {"phase": SERVERS}),
    ]
    shown = {name: getattr(params, name) for name in _OWN if getattr(params, name) is not None}
    return [(title, address(request, **nothing | chosen), shown == chosen) for title, chosen in views]


def time_of(name: str, text: str | None, now: datetime) -> int | None:
    """Return a time as microseconds since 1970: of a duration before ``now``, of an RFC 3339 time, or of a time without a zone, in UTC.

    Raises Refusal 400.
    """
    if text is None:
        return None
    try:
        return microseconds(now - timedelta(seconds=duration(text)))
    except (ValueError, OverflowError):
        pass
    try:
        moment = parse_timestamp(text.upper())
        return microseconds(moment if moment.tzinfo else moment.replace(tzinfo=UTC))
    except (ValueError, OverflowError) as error:
        fault = "must be a duration such as 1h, or a time such as 2026-11-29T10:00:00Z"
        raise refusals.bad_field(name, fault) from error
