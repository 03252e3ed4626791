"""The first page: what is wrong, what goes on, what waits. Every number leads to the list behind it."""

from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response

from sympozium_api import names, operator_lease
from sympozium_api.client import ApiError
from sympozium_api.config import SympoziumConfig
from sympozium_api.resources import CONFIGS, INSTANCES
from sympozium_archive.run_queries import RunFilter
from sympozium_archive.times import microseconds
from sympozium_console import console_context
from sympozium_console.change_feed.known_objects import InstanceFilter
from sympozium_console.pages.error_pages import PAGE_TAG
from sympozium_console.pages.instance_rows import InstanceRow
from sympozium_console.pages.rendering import render
from sympozium_console.pages.usage_charts import charts_of
from sympozium_console.routes.access import may_see, visible
from sympozium_console.routes.newest_runs import require_whole_index
from sympozium_console.routes.params import NoQuery, caller_of
from sympozium_console.routes.usage import usage_report

router = APIRouter(tags=[PAGE_TAG], include_in_schema=False)

_MICRO = 1_000_000
_HOUR = 3600 * _MICRO
_BUCKET = 300 * _MICRO
_MOST_INSTANCES = 20
_CHARTED_HOURS = 2
_FORBIDDEN = 403


@dataclass(frozen=True)
class Figure:
    """A number, and the list behind it."""

    title: str
    value: int
    path: str
    is_bad: bool = False


@dataclass(frozen=True)
class Trouble:
    """Something that is not as it should be."""

    title: str
    text: str
    path: str


@router.get("/")
async def get_overview(request: Request, _: Annotated[NoQuery, Query()]) -> Response:
    """Return the page."""
    await require_whole_index(request)
    context = console_context.of_request(request)
    now = microseconds(context.clock.now())
    failures = await usage_report(request, now - _HOUR, now + _MICRO, by="error")
    series = await usage_report(request, now - _CHARTED_HOURS * _HOUR, now + _MICRO, bucket=_BUCKET)
    day = await usage_report(request, now - 24 * _HOUR, now + _MICRO)
    failed = [(item.group["error"], item.failed) for item in failures.items if item.failed]
    instances = await _instances_in_error(request)
    share = day.items[0].warm_share if day.items else None
    return render(
        request,
        "overview.html",
        title="Overview",
        figures=await _figures(request, sum(number for _, number in failed), len(instances)),
        failed=failed,
        troubles=[*await _operator(request), *await _gateway(request), *instances],
        charts=charts_of(series, _BUCKET)[:2],
        warm_share=share,
        namespaces=visible(request).namespaces,
    )


async def _figures(request: Request, failed: int, in_error: int) -> list[Figure]:
    seen = visible(request)
    wanted = RunFilter(namespace=seen.namespace, namespaces=seen.namespaces)
    counts = dict[str, int]()
    for count in await console_context.of_request(request).indexed_runs.counts(wanted):
        counts[count.phase or ""] = counts.get(count.phase or "", 0) + count.runs
    return [
        Figure("Instances in error", in_error, "/instances?phase=Error", is_bad=in_error > 0),
        Figure("Failed in the last hour", failed, "/runs?phase=Failed&since=1h", is_bad=failed > 0),
        Figure("Waiting", counts.get("Pending", 0), "/runs?phase=Pending"),
        Figure("Running", counts.get("Running", 0), "/runs?phase=Running"),
    ]


async def _instances_in_error(request: Request) -> list[Trouble]:
    """Return the instances that are not as they should be, as far as the caller may list them."""
    context = console_context.of_request(request)
    context.feed.require_instances()
    seen = await context.callers.rights.namespaces(caller_of(request), "list", INSTANCES)
    wanted = InstanceFilter(namespaces=None if seen is None else frozenset(seen), phase="Error")
    rows = [InstanceRow.of(item) for item in context.feed.instances.page(wanted, limit=_MOST_INSTANCES, after="").items]
    return [Trouble(f"Instance {row.namespace}/{row.name}", row.reason or row.phase, row.path) for row in rows]


async def _operator(request: Request) -> list[Trouble]:
    """Return that no operator works, or none on a shard: nothing on the pages comes true then."""
    context = console_context.of_request(request)
    try:
        leases = await operator_lease.read_leases(context.client, context.settings.namespace)
    except ApiError as error:
        if error.status == _FORBIDDEN:  # rights of an older installation
            return []
        raise
    fault = operator_lease.fault(leases, context.clock.now())
    return [Trouble("Operator", f"{fault[0].upper()}{fault[1:]}.", "/about")] if fault else []


async def _gateway(request: Request) -> list[Trouble]:
    """Return what is wrong with the gateway, for those who may see its settings."""
    context = console_context.of_request(request)
    if not await may_see(request, "get", CONFIGS, context.settings.namespace):
        return []
    try:
        config = SympoziumConfig.model_validate(await context.configs.get(context.settings.namespace, names.CONFIG))
    except ApiError as error:
        if error.not_found:
            return []
        raise
    if not config.spec.gateway.enabled or (config.status.gateway and config.status.gateway.ready):
        return []
    failing = [condition.message for condition in config.status.conditions if condition.status == "False"]
    return [Trouble("Gateway", failing[0] if failing else "It is not ready yet.", "/config")]
