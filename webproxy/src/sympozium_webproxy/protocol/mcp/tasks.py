"""The extension ``io.modelcontextprotocol/tasks``: a task is an AgentRun, and its id the run's name."""

from typing import Any

from mcp_types import RequestParams

from sympozium_api.run import AgentRun
from sympozium_api.terminal_status import record_of
from sympozium_webproxy.protocol.mcp import results

EXTENSION = "io.modelcontextprotocol/tasks"
_POLL_MS = 1000


class TaskParams(RequestParams):
    """Parameters of tasks/get and tasks/cancel."""

    task_id: str


class UpdateTaskParams(TaskParams):
    """Parameters of tasks/update."""

    input_responses: dict[str, Any] = {}


def created(run: AgentRun) -> dict[str, Any]:
    """Return the result of a call that continues as a task."""
    return _task(run, "working") | {"resultType": "task"}


def detailed(run: AgentRun) -> dict[str, Any]:
    """Return the result of tasks/get. A failed run is a tool's error, and so the task of it is completed."""
    if not run.ended:
        return _task(run, "working")
    if run.status.phase == "Cancelled":
        return _task(run, "cancelled")
    result = results.of_end(run.metadata.name, record_of(run.status))
    return _task(run, "completed") | {"result": result.model_dump(mode="json", by_alias=True, exclude_none=True)}


def _task(run: AgentRun, status: str) -> dict[str, Any]:
    created_at = run.metadata.creation_timestamp
    return {
        "taskId": run.metadata.name,
        "status": status,
        "createdAt": created_at,
        "lastUpdatedAt": run.status.completed_at or run.status.started_at or created_at,
        "ttlMs": None,
        "pollIntervalMs": _POLL_MS,
    }
