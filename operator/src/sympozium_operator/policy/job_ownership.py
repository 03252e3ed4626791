"""Ownership of a Job: which Jobs a run may adopt, delete and read the end of. A name in a spec proves nothing."""

from sympozium_api import names
from sympozium_api.resources import INSTANCES, Object
from sympozium_api.run import AgentRun
from sympozium_operator.policy import pod_status
from sympozium_operator.policy.run_input import RunInput


def is_own(run: AgentRun, job: Object) -> bool:
    """Return whether the run is the Job's controller owner."""
    return pod_status.controller_uid(job) == run.metadata.uid


def is_claimed(facts: RunInput, job: Object) -> bool:
    """Return whether the Job is an idle one of the run's instance, and the run the first that claims the Job's pod."""
    return bool(facts.run.claimed_pod) and not facts.outranked and _is_idle_job(facts, job)


def is_of_pool(job: Object, instance: str, uid: str | None = None) -> bool:
    """Return whether a Job is one that the operator made for the instance's warm pool, and that no run owns.

    ``uid`` is the instance's, if it is known.
    """
    metadata, owner = job["metadata"], pod_status.controller(job)
    labels = metadata.get("labels") or {}
    return (
        (owner.get("kind"), owner.get("name")) == (INSTANCES.kind, instance)
        and uid in (None, owner.get("uid"))
        and (labels.get(names.LABEL_INSTANCE), labels.get(names.LABEL_WARM)) == (instance, names.IDLE)
        and names.idle_job_generation(metadata["name"]) is not None
    )


def _is_idle_job(facts: RunInput, job: Object) -> bool:
    uid = facts.instance.metadata.uid if facts.instance else facts.instance_uid
    return is_of_pool(job, facts.run.spec.agent_ref, uid)
