"""Runs, and one of them as it goes on."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.responses import JSONResponse, StreamingResponse

from sympozium_api.resources import RUNS
from sympozium_api.run import AgentRun
from sympozium_console import context, follow, listing, models
from sympozium_console.routes.asked import REFUSALS, InNamespace, Name, OfRuns, authenticate
from sympozium_http import sse

router = APIRouter(tags=["runs"], dependencies=[Depends(authenticate)], responses=REFUSALS)

Where = Annotated[InNamespace, Query()]


@router.get("/api/v1/runs", response_model=models.RunList)
async def list_runs(request: Request, asked: Annotated[OfRuns, Query()]) -> Response:
    """A page of runs, by namespace and name, without what was asked and answered."""
    found = await context.of(request).runs.page(
        asked.space,
        limit=asked.limit,
        after=asked.continue_,
        instance=asked.instance,
        phase=asked.phase,
        source=asked.source,
    )
    return JSONResponse(listing.answered(RUNS, found))


@router.get("/api/v1/runs/{name}", response_model=AgentRun)
async def get_run(request: Request, name: Name, asked: Where) -> Response:
    """A run, with what was asked and answered."""
    return JSONResponse(await context.of(request).runs.get(asked.namespace, name))


@router.delete("/api/v1/runs/{name}", status_code=204)
async def delete_run(request: Request, name: Name, asked: Where) -> None:
    """Delete a run; its pod, where it still works, goes with it."""
    await context.of(request).runs.delete(asked.namespace, name)


@router.post("/api/v1/runs/{name}/cancel", response_model=AgentRun, status_code=202)
async def cancel_run(request: Request, name: Name, asked: Where) -> Response:
    """Ask for the end of a run; 409 when it has ended already."""
    return JSONResponse(await context.of(request).runs.cancel(asked.namespace, name), status_code=202)


@router.get(
    "/api/v1/runs/{name}/events",
    response_class=StreamingResponse,
    responses={
        200: {"content": {"text/event-stream": {}}, "description": "``status``, ``event`` and ``deleted`` events."}
    },
)
async def follow_run(request: Request, name: Name, asked: Where) -> Response:
    """A run as it goes on, as server-sent events, until it has ended."""
    parts = context.of(request)
    await parts.runs.get(asked.namespace, name)  # one that is not there is 404, not an empty stream
    frames = follow.frames(
        parts.client,
        asked.namespace,
        name,
        keep_alive_seconds=parts.settings.keep_alive_seconds,
        stop=parts.draining,
    )
    return StreamingResponse(frames, headers=sse.HEADERS)
