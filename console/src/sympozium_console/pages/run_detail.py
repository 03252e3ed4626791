"""The page of one run."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict
from starlette.concurrency import run_in_threadpool

from sympozium_api.resources import EVENTS, RUNS
from sympozium_archive.run_queries import RunFilter
from sympozium_console import console_context
from sympozium_console.pages.error_pages import PAGE_TAG
from sympozium_console.pages.prose.formatted_text import FormattedText, formatted
from sympozium_console.pages.rendering import render
from sympozium_console.pages.run_changes import Namespace
from sympozium_console.pages.run_commands import command
from sympozium_console.pages.run_links import links_of
from sympozium_console.pages.run_rights import rights_on_runs
from sympozium_console.pages.run_rows import RunLine
from sympozium_console.pages.run_view import RunView, find_run
from sympozium_console.pages.shown_events import ShownEvent, events_about
from sympozium_console.routes.access import LOGS, SUMMARIES, may_see
from sympozium_console.routes.params import Name, caller_of
from sympozium_console.run_logs import tail_of
from sympozium_console.yaml_documents import dump
from sympozium_http.refusal import Refusal

router = APIRouter(tags=[PAGE_TAG], include_in_schema=False)

Tab = Literal["overview", "events", "log", "yaml"]
TABS: dict[Tab, str] = {"overview": "Overview", "events": "Events", "log": "Log", "yaml": "YAML"}
_LOG_LINES = 500
_MOST_TURNS = 50


class RunQuery(BaseModel):
    """The query of the page."""

    model_config = ConfigDict(extra="forbid")

    tab: Tab = "overview"
    answer: Literal["formatted", "plain", "json"] = "formatted"


@router.get("/runs/{namespace}/{name}")
async def get_run(request: Request, namespace: Namespace, name: Name, params: Annotated[RunQuery, Query()]) -> Response:
    """Return the page of a run that Kubernetes has, or that the archive has."""
    view = await find_run(request, namespace, name)
    if view is None:
        raise Refusal(404, "NotFound", f"Neither Kubernetes nor the archive has a run {name} in namespace {namespace}.")
    pod, context = _pod(view), console_context.of_request(request)
    return render(
        request,
        "run.html",
        title=view.name,
        run=view,
        tab=params.tab,
        tabs=TABS,
        shown_as=params.answer,
        answers=await _answers(view, params),
        rights=await rights_on_runs(request, namespace),
        commands_of={
            action: command(action, namespace=namespace, name=name, pod=pod)
            for action in ("cancel", "delete", "repeat", "yaml", "events", "log")
        },
        pod=pod,
        links=links_of(view, context.settings.links, context.clock.now().timestamp()),
        neighbours=await _neighbours(request, view) if params.tab == "overview" else [],
        **await _of_tab(request, view, params.tab),
    )


async def _answers(view: RunView, params: RunQuery) -> list[FormattedText]:
    """Return the answers as HTML, if they are asked for so."""
    if view.content is None or params.answer != "formatted" or params.tab != "overview":
        return []
    return [await formatted(message.text) for message in view.content.answers]


async def _of_tab(request: Request, view: RunView, tab: Tab) -> dict[str, Any]:
    """Return what one tab alone needs, and reads."""
    fault, log, events, text = "", "", list[ShownEvent](), ""
    if tab == "log":
        log, fault = await _log(request, view)
    elif tab == "events":
        events, fault = await _events(request, view)
    elif tab == "yaml" and view.body is not None:
        text = (await run_in_threadpool(dump, view.body)).decode()
    return {"fault": fault, "log": log, "events": events, "text": text}


async def _log(request: Request, view: RunView) -> tuple[str, str]:
    """Return the end of the log, and why there is none."""
    if view.body is None:
        return "", "The run is gone from Kubernetes, and its pod with it."
    if not await may_see(request, "get", LOGS, view.namespace):
        return "", f"{caller_of(request).user} needs the right to get pods/log in namespace {view.namespace}."
    client = console_context.of_request(request).client
    try:
        return await tail_of(client, view.namespace, view.name, _LOG_LINES), ""
    except Refusal as refusal:
        return "", refusal.message


async def _events(request: Request, view: RunView) -> tuple[list[ShownEvent], str]:
    """Return Kubernetes' Events about the run, the newest first, and why there are none."""
    if not await may_see(request, "list", EVENTS, view.namespace):
        return [], f"{caller_of(request).user} needs the right to list events in namespace {view.namespace}."
    client = console_context.of_request(request).client
    return await events_about(client, RUNS, view.namespace, view.name, view.uid), ""


async def _neighbours(request: Request, view: RunView) -> list[RunLine]:
    """Return the turns of the run's conversation, the newest first, to a caller who may list runs."""
    may_list = [await may_see(request, "list", kind, view.namespace) for kind in (RUNS, SUMMARIES)]
    if not view.session or not any(may_list):
        return []
    wanted = RunFilter(namespace=view.namespace, instance=view.instance, session=view.session)
    rows = await console_context.of_request(request).indexed_runs.history(wanted, limit=_MOST_TURNS, offset=0)
    return [RunLine.of_row(row) for row in rows]


def _pod(view: RunView) -> str:
    return str(((view.body or {}).get("status") or {}).get("podName") or "")
