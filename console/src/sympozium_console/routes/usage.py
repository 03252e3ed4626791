"""The route of usage: sums over the runs of a time."""

from datetime import timedelta
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request, Response
from pydantic import BeforeValidator, Field, WithJsonSchema
from pydantic_core import PydanticCustomError

from sympozium_api.settings_parser import duration
from sympozium_archive.times import microseconds, moment, moment_if_known
from sympozium_archive.usage_queries import TooManyGroups, UsageFilter
from sympozium_archive.usage_sums import Dimension
from sympozium_console import console_context, refusals
from sympozium_console.routes.access import Visible, visible
from sympozium_console.routes.newest_runs import require_whole_index
from sympozium_console.routes.params import REFUSALS, ListQuery, Moment, authenticate, caller_of
from sympozium_console.usage_report import UsageOfGroup, UsageReport

router = APIRouter(tags=["usage"], dependencies=[Depends(authenticate)], responses=REFUSALS)

_DEFAULT = timedelta(days=1)
_LEAST_BUCKET_SECONDS = 60
_MOST_BUCKETS = 1000
_MICRO = 1_000_000


def _bucket(text: str) -> int:
    try:
        seconds = duration(text)
    except ValueError:
        seconds = 0
    if not _LEAST_BUCKET_SECONDS <= seconds <= 400 * 86_400:
        raise PydanticCustomError("bucket", "must be a duration of at least a minute, such as 1h")
    return seconds * _MICRO


Bucket = Annotated[int, BeforeValidator(_bucket, str), WithJsonSchema({"type": "string"})]
"""Duration, as microseconds."""


class UsageQuery(ListQuery):
    """The query of usage."""

    from_: Annotated[
        Moment | None, Field(alias="from", description="Runs accepted at this time or later; a day before ``to``.")
    ] = None
    to: Annotated[Moment | None, Field(description="Runs accepted before this time; now if omitted.")] = None
    by: Annotated[Dimension | None, Field(description="What the runs of a group have in common.")] = None
    bucket: Annotated[
        Bucket | None, Field(description="Duration of the times by which runs are grouped, such as ``1h``.")
    ] = None


@router.get("/api/v1/usage", response_model=UsageReport)
async def get_usage(request: Request, params: Annotated[UsageQuery, Query()]) -> Response:
    """Return numbers, tokens and percentiles of the runs that were accepted in a time."""
    now = microseconds(console_context.of_request(request).clock.now())
    until = params.to if params.to is not None else now
    since = params.from_ if params.from_ is not None else max(0, until - int(_DEFAULT.total_seconds()) * _MICRO)
    report = await usage_report(request, since, until, by=params.by, bucket=params.bucket)
    return Response(report.model_dump_json(by_alias=True), media_type="application/json")


async def usage_report(
    request: Request,
    since: int,
    until: int,
    *,
    by: Dimension | None = None,
    bucket: int | None = None,
) -> UsageReport:
    """Return the sums of the runs that the caller may see. Times and ``bucket`` are microseconds. Raises Refusal 400 and 503."""
    context, seen = console_context.of_request(request), visible(request)
    _check(since, until, bucket)
    await require_whole_index(request)
    wanted = UsageFilter(since, until, seen.namespace, seen.namespaces)
    try:
        usages = await context.usage.usage(wanted, by=by, bucket=bucket)
    except TooManyGroups as error:
        raise refusals.bad_field("bucket" if bucket else "by", "too many groups; choose a shorter time") from error
    oldest = await context.usage.counts_since(_own(seen) if not caller_of(request).is_admin else None)
    return UsageReport(
        from_=moment(since),
        to=moment(until),
        counts_since=moment_if_known(oldest),
        items=[UsageOfGroup.of(usage, by) for usage in usages],
    )


def _own(seen: Visible) -> tuple[str, ...]:
    """Return the namespaces that a caller may see, of whose runs alone it is told anything."""
    return (seen.namespace,) if seen.namespace else seen.namespaces or ()


def _check(since: int, until: int, bucket: int | None) -> None:
    """Raise Refusal 400 for a time that is empty, or has too many buckets."""
    if since >= until:
        raise refusals.bad_field("from", "must be before to")
    if bucket and (until - since) / bucket > _MOST_BUCKETS:
        raise refusals.bad_field("bucket", f"the time has more than {_MOST_BUCKETS} buckets of this duration")
