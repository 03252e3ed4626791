"""Routes of the history: runs that the archive has, also those that Kubernetes does not have any more."""

from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Path, Query, Request, Response
from pydantic import Field

from sympozium_api.resources import RUNS
from sympozium_archive.run_contents import Contents
from sympozium_archive.run_queries import RunFilter, RunQueries
from sympozium_console.history_models import ArchivedRun, ArchivedRunWithContent, RunHistory
from sympozium_console.routes.access import SUMMARIES, may_see, visible
from sympozium_console.routes.archive import ArchiveQuery, answer, answer_with, archive_of
from sympozium_console.routes.params import REFUSALS, NoQuery, Text, authenticate
from sympozium_http.refusal import Refusal

router = APIRouter(tags=["history"], dependencies=[Depends(authenticate)], responses=REFUSALS)

RunId = Annotated[
    str,
    Path(
        alias="id",
        pattern=r"^[A-Za-z0-9][-A-Za-z0-9]{0,62}$",
        description="``id`` of the run: the UID of its AgentRun.",
    ),
]


class HistoryQuery(ArchiveQuery):
    """The query of one page of runs."""

    instance: Annotated[Text, Field(description="Only runs of this instance.")] = None
    source: Annotated[Text, Field(description="Only runs created by this source.")] = None
    key: Annotated[Text, Field(description="Only runs made with the API key of this name.")] = None
    status: Annotated[
        Literal["Pending", "Running", "Succeeded", "Failed", "Cancelled"] | None,
        Field(description="Only runs in this phase."),
    ] = None


@router.get("/api/v1/history", response_model=RunHistory)
async def list_history(request: Request, params: Annotated[HistoryQuery, Query()]) -> Response:
    """Return one page of runs without their content, newest first, also of those that Kubernetes does not have any more."""
    seen = visible(request)
    conditions = RunFilter(
        namespace=seen.namespace,
        namespaces=seen.namespaces,
        instance=params.instance,
        phase=params.status,
        source=params.source,
        key=params.key,
        user=params.user,
        since=params.from_,
        until=params.to,
    )
    rows = await RunQueries(archive_of(request)).history(conditions, limit=params.limit, offset=params.offset)
    items = [ArchivedRun.of_row(row) for row in rows]
    return answer(RunHistory(items=items, limit=params.limit, offset=params.offset))


@router.get("/api/v1/history/{id}", response_model=ArchivedRunWithContent)  # noqa: FAST003 - run_id has it as its alias
async def get_history(request: Request, run_id: RunId, _: Annotated[NoQuery, Query()]) -> Response:
    """Return a run with its question, its answer and its steps."""
    database = archive_of(request)
    row = await RunQueries(database).run(run_id)
    may_read = row is not None and await may_see(request, "get", RUNS, row.namespace)
    if row is None or not (may_read or await may_see(request, "get", SUMMARIES, row.namespace)):
        raise Refusal(404, "NotFound", f"The archive has no run {run_id}.")
    content = await Contents(database).open(run_id) if may_read else None
    if content is None:
        return answer(ArchivedRunWithContent.of_row(row, content=None))
    return answer_with(ArchivedRun.of_row(row), "content", content)
