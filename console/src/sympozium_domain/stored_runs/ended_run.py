"""A run at its end before its terminal status could be read. Pure."""

from datetime import datetime

from sympozium_api.agent_records import End
from sympozium_api.run import AgentRun
from sympozium_api.run_status import RunStatus
from sympozium_api.terminal_status import status_of


def with_end(run: AgentRun, end: End, now: datetime) -> AgentRun:
    """Return a run with the status that an end record means."""
    status = status_of(end, job_name=None, pod_name=None, started_at=None, now=now, accepted_at=run.accepted_at or None)
    return run.model_copy(update={"status": RunStatus.model_validate(status)})
