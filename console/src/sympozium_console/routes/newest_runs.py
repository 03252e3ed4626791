"""Lists of runs in the order of their acceptance, from the index."""

from fastapi import Request, Response

from sympozium_archive.run_queries import InvalidCursor, RunFilter
from sympozium_console import console_context, refusals
from sympozium_console.routes.access import Visible, visible
from sympozium_console.routes.params import RunPageQuery, RunsQuery, caller_of
from sympozium_console.run_summaries import NewestRuns
from sympozium_http.refusal import Refusal

_OF_NEWEST = ("before", "start", "error", "key", "session", "user", "q", "since", "until")
"""Parameters that only lists of the newest runs have."""


def check_order(params: RunPageQuery) -> None:
    """Raise Refusal 400 for a parameter that lists of this order do not have."""
    if params.order == "newest":
        if params.continue_:
            raise refusals.bad_field(
                "continue", "with order=newest, send metadata.before of the previous page as before"
            )
        return
    for name in _OF_NEWEST:
        if getattr(params, name) is not None:
            raise refusals.bad_field(name, "needs order=newest")


async def newest_runs(request: Request, params: RunPageQuery) -> Response:
    """Return one page of the newest runs with the numbers of all that the parameters select."""
    context, seen = console_context.of_request(request), visible(request)
    await require_whole_index(request)
    wanted = run_filter(seen, params, params.since, params.until)
    try:
        page = await context.indexed_runs.newest(wanted, limit=params.limit, before=params.before)
    except InvalidCursor as error:
        raise refusals.bad_field("before", "is not metadata.before of a page") from error
    answer = NewestRuns.of(page, await context.indexed_runs.counts(wanted))
    return Response(answer.model_dump_json(by_alias=True), media_type="application/json")


def run_filter(seen: Visible, params: RunsQuery, since: int | None, until: int | None) -> RunFilter:
    """Return the conditions of a query on the runs that its caller may see. Times are microseconds since 1970."""
    return RunFilter(
        namespace=seen.namespace,
        namespaces=seen.namespaces,
        q=params.q,
        instance=params.instance,
        phase=params.phase,
        source=params.source,
        start=params.start,
        error=params.error,
        key=params.key,
        session=params.session,
        user=params.user,
        since=since,
        until=until,
    )


async def require_whole_index(request: Request) -> None:
    """Raise Refusal 503 until the index has every run that Kubernetes has; the progress is for those who may see all runs."""
    unread = await console_context.of_request(request).index.unread()
    if unread is not None and not caller_of(request).is_admin:
        raise Refusal(503, "Reading", "The runs are being read.", retry_after=1)
    if unread is not None:
        expected = f"about {unread.expected}" if unread.expected is not None else "an unknown number"
        message = f"The runs are being read: {unread.read} of {expected} so far."
        raise Refusal(503, "Reading", message, retry_after=1)
