"""Terminal status of a run that the operator ends."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sympozium_api import effective, session_annotations, terminal_status
from sympozium_api.resources import Object
from sympozium_operator.policy import pod_status
from sympozium_operator.policy.run_input import RunInput


def status(facts: RunInput, record: Mapping[str, Any], pod: Object | None, now: datetime) -> Object:
    """Return the status of a run that ended with this record, with what is known of its Job and pod."""
    run, job = facts.run, facts.job["metadata"] if facts.job else None
    return terminal_status.status_of(
        record,
        job_name=job["name"] if job else run.status.job_name,
        pod_name=pod["metadata"]["name"] if pod else run.status.pod_name,
        started_at=run.status.started_at or (pod_status.started_at(pod) if pod else None),
        now=now,
        start=run.status.start or (run.start_kind if job or run.claimed_pod else None),
        model=effective.model(facts.instance, run).name if facts.instance else None,
        generation=run.metadata.generation,
        accepted_at=run.accepted_at,
        job_at=job.get("creationTimestamp") if job else None,
        left_out=session_annotations.left_out(run.metadata.annotations),
    )
