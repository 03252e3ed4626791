"""Usage: charts of the runs of a time, each with its table, and the same as CSV."""

import csv
import io
from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response
from pydantic import Field

from sympozium_archive.times import microseconds
from sympozium_archive.usage_sums import Dimension
from sympozium_console import console_context
from sympozium_console.pages.error_pages import PAGE_TAG
from sympozium_console.pages.page_query import FormQuery
from sympozium_console.pages.rendering import address, render
from sympozium_console.pages.run_list import time_of
from sympozium_console.pages.usage_charts import bucket_of, charts_of
from sympozium_console.routes.access import visible
from sympozium_console.routes.params import ListQuery
from sympozium_console.routes.usage import Bucket, usage_report
from sympozium_console.usage_report import UsageOfGroup

router = APIRouter(tags=[PAGE_TAG], include_in_schema=False)

_LATEST = (("1h", "Last hour"), ("24h", "Last day"), ("7d", "Last week"), ("30d", "Last 30 days"))
_DEFAULT = "24h"
DIMENSIONS: tuple[Dimension, ...] = ("instance", "model", "key", "source", "error")
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""First characters of what a spreadsheet would compute."""


class UsagePageQuery(FormQuery, ListQuery):
    """The query of the page."""

    from_: Annotated[str | None, Field(alias="from", max_length=40)] = None
    """A duration before now, such as ``7d``, or a time."""
    to: Annotated[str | None, Field(max_length=40)] = None
    by: Dimension = "instance"
    bucket: Bucket | None = None

    def times(self, request: Request) -> tuple[int, int]:
        """Return the begin and the end, in microseconds since 1970. Raises Refusal 400."""
        now = console_context.of_request(request).clock.now()
        since, until = time_of("from", self.from_ or _DEFAULT, now), time_of("to", self.to, now)
        assert since is not None  # noqa: S101 - it has a default
        return since, microseconds(now) if until is None else until


@router.get("/usage")
async def get_usage_page(request: Request, params: Annotated[UsagePageQuery, Query()]) -> Response:
    """Return the charts of a time, and its sums by one dimension."""
    since, until = params.times(request)
    bucket = params.bucket or bucket_of(since, until)
    series = await usage_report(request, since, until, bucket=bucket)
    groups = await usage_report(request, since, until, by=params.by)
    whole = await usage_report(request, since, until)
    return render(
        request,
        "usage.html",
        title="Usage",
        params=params,
        charts=charts_of(series, bucket),
        report=whole,
        total=whole.items[0] if whole.items else None,
        groups=[(name_of(item), link_of(item, params), item) for item in groups.items],
        dimensions=DIMENSIONS,
        latest=[
            (title, address(request, **{"from": text, "to": None, "bucket": None}), (params.from_ or _DEFAULT) == text)
            for text, title in _LATEST
        ],
        namespaces=visible(request).namespaces,
    )


@router.get("/usage.csv")
async def get_usage_csv(request: Request, params: Annotated[UsagePageQuery, Query()]) -> Response:
    """Return the sums by time and dimension as CSV."""
    since, until = params.times(request)
    report = await usage_report(request, since, until, by=params.by, bucket=params.bucket or bucket_of(since, until))
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(["bucket", params.by, "runs", "ended", "failed", "input_tokens", "output_tokens", "warm_share"])
    for item in report.items:
        begin = f"{item.bucket:%Y-%m-%dT%H:%M:%SZ}" if item.bucket else ""
        numbers = (item.runs, item.ended, item.failed, item.input_tokens, item.output_tokens, item.warm_share)
        writer.writerow([begin, _cell(name_of(item)), *("" if number is None else number for number in numbers)])
    headers = {"Content-Disposition": 'attachment; filename="usage.csv"'}
    return Response(text.getvalue(), media_type="text/csv", headers=headers)


def name_of(item: UsageOfGroup) -> str:
    """Return what the runs of a group have in common, as one text."""
    return "/".join(value or "" for value in item.group.values()).strip("/") or "none"


def link_of(item: UsageOfGroup, params: UsagePageQuery) -> dict[str, str | None]:
    """Return the filters of the list of runs that select a group's; {} where no filter does."""
    if params.by == "model" or None in item.group.values():
        return {}
    return dict(item.group)


def _cell(text: str) -> str:
    """Return a text that no spreadsheet takes for a formula."""
    return f"'{text}" if text.startswith(_FORMULA) else text
