"""Routes of runs and of their event streams."""

from functools import partial
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.responses import JSONResponse
from sse_starlette import EventSourceResponse

from sympozium_api.resources import RUNS
from sympozium_api.run import AgentRun, without_contents
from sympozium_console import console_context, openapi_models, run_events
from sympozium_console.change_feed.counted_stream import counted
from sympozium_console.routes.access import judge_again, may_see, visible
from sympozium_console.routes.newest_runs import check_order, newest_runs
from sympozium_console.routes.params import (
    REFUSALS,
    FollowQuery,
    Name,
    ObjectParams,
    RunPageQuery,
    WriteParams,
    authenticate,
)
from sympozium_console.run_repository import RunSelection
from sympozium_console.run_summaries import NewestRuns
from sympozium_console.run_timeline import Timeline
from sympozium_domain import object_pages
from sympozium_http import request_state
from sympozium_http.event_streams import EventStreamResponse

router = APIRouter(tags=["runs"], dependencies=[Depends(authenticate)], responses=REFUSALS)


@router.get("/api/v1/runs", response_model=openapi_models.RunList | NewestRuns)
async def list_runs(request: Request, params: Annotated[RunPageQuery, Query()]) -> Response:
    """Return one page of runs without questions and answers, by name or the newest first."""
    check_order(params)
    if params.order == "newest":
        return await newest_runs(request, params)
    runs, seen = console_context.of_request(request).runs, visible(request)
    chosen = RunSelection(params.instance, params.phase, params.source)
    if seen.namespaces is None:
        page = await runs.page(seen.namespace, params.limit, params.continue_, chosen=chosen)
    else:
        page = await object_pages.page_of_namespaces(
            seen.namespaces, partial(runs.page, chosen=chosen), limit=params.limit, after=params.continue_
        )
    return JSONResponse(object_pages.list_body(RUNS, page))


@router.get("/api/v1/runs/{name}", response_model=AgentRun)
async def get_run(request: Request, name: Name, params: ObjectParams) -> Response:
    """Return a run, with its question and answer if the caller may read them."""
    run = await console_context.of_request(request).runs.get(params.namespace, name)
    may_read = await may_see(request, "get", RUNS, params.namespace)
    return JSONResponse(run if may_read else without_contents(run))


@router.get("/api/v1/runs/{name}/timeline", response_model=Timeline)
async def get_timeline(request: Request, name: Name, params: ObjectParams) -> Response:
    """Return the moments and calls of a run, with milliseconds since its acceptance."""
    run = AgentRun.model_validate(await console_context.of_request(request).runs.get(params.namespace, name))
    return Response(Timeline.of(run).model_dump_json(by_alias=True), media_type="application/json")


@router.delete("/api/v1/runs/{name}", status_code=204)
async def delete_run(request: Request, name: Name, params: WriteParams) -> None:
    """Delete a run; Kubernetes deletes its pod too. With an archive the run is archived first, as cancelled if it had not ended."""
    context = console_context.of_request(request)
    if params.is_dry_run:
        await context.runs.delete(params.namespace, name, dry_run=True)
    else:
        await (context.archiver or context).runs.delete(params.namespace, name)


@router.post("/api/v1/runs/{name}/cancel", response_model=AgentRun, status_code=202)
async def cancel_run(request: Request, name: Name, params: WriteParams) -> Response:
    """Cancel a run; 409 if the run has already ended."""
    run = await console_context.of_request(request).runs.cancel(params.namespace, name, dry_run=params.is_dry_run)
    return JSONResponse(run, status_code=202)


@router.get(
    "/api/v1/runs/{name}/events",
    response_class=EventSourceResponse,
    responses={
        200: {
            "content": {"text/event-stream": {}},
            "description": "``status``, ``event``, ``delta``, ``tool`` and ``deleted`` events.",
        }
    },
)
async def follow_run(request: Request, name: Name, params: Annotated[FollowQuery, Query()]) -> Response:
    """Stream a run's events until the run has ended, with its answer as far as it comes to this replica."""
    context, caller = console_context.of_request(request), request_state.of(request).caller
    context.feed.refuse_more_streams(caller)
    await context.runs.get(params.namespace, name)  # answers 404 for an absent run, before the stream begins
    followed = run_events.FollowedRun(
        params.namespace, name, after=params.position(request.headers.get("last-event-id"))
    )
    judge = partial(judge_again, request, params.namespace)
    events = run_events.follow(context.client, context.instance_runs, followed, stop=context.draining, judge=judge)
    return EventStreamResponse(
        counted(context.feed, caller, events),
        keep_alive_seconds=context.settings.keep_alive_seconds,
        waits=True,  # records that a slow reader has not taken yet are counted and bounded
    )
