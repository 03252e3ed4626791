"""The log of a run's pod: which pod is the run's, and its log as it comes."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass

from pydantic import ValidationError

from sympozium_api.client import ApiError, Client
from sympozium_api.client.pod_log import log_text
from sympozium_api.resources import JOBS, PODS, RUNS, Object
from sympozium_api.run import AgentRun
from sympozium_console import refusals
from sympozium_http.refusal import Refusal

_CONTAINER = "agent"
MOST_LINES = 10_000
_MOST_BYTES = 4 * 1024 * 1024
_RETRY_SECONDS = 1
_KEPT = (
    "The operator deletes the pods of ended runs, those of failed ones after runs.failedJobRetention of the chart; a log collector"
    " keeps logs for longer. status.error of the run has the reason for its end."
)


@dataclass(frozen=True)
class LogSelection:
    """The part of a log that is read."""

    tail: int = 1000
    """Lines from the end, at most ``MOST_LINES``."""
    follow: bool = False
    """True: later lines too, until the pod ends."""
    timestamps: bool = False
    """True: each line begins with its time, RFC 3339."""

    @property
    def params(self) -> dict[str, str]:
        """The API server's parameters."""
        flags = {name: "true" for name in ("follow", "timestamps") if getattr(self, name)}
        return {"container": _CONTAINER, "tailLines": str(self.tail), "limitBytes": str(_MOST_BYTES)} | flags


async def open_log(client: Client, namespace: str, name: str, selection: LogSelection) -> AsyncGenerator[str, None]:
    """Return the text of the log of a run's pod, at most 4 MiB; the API server has accepted the request. Close the generator.

    Raises ApiError, ApiUnavailable, and Refusal 403 if the console has no right to logs, 409 if there is no log yet, 410 if the pod is
    gone.
    """
    body = await client.get(RUNS, namespace, name)
    try:
        pod = await _pod(client, body)
        text = log_text(client, namespace, pod, selection.params)
        await anext(text)
    except ApiError as error:
        raise _explained(error) from error
    return text


async def tail_of(client: Client, namespace: str, name: str, lines: int) -> str:
    """Return the last lines of the log of a run's pod. Raises as ``open_log`` does."""
    async with aclosing(await open_log(client, namespace, name, LogSelection(tail=lines))) as text:
        return "".join([piece async for piece in text])


async def _pod(client: Client, body: Object) -> str:
    """Return the name of a run's pod. The names in spec and status prove nothing: Job and pod have to name their owners.

    Raises ApiError and Refusal.
    """
    run = _parsed(body)
    namespace, pod_name = run.metadata.namespace, run.status.pod_name or run.claimed_pod
    job = await client.find_metadata(JOBS, namespace, run.job_name)
    if job is None or pod_name is None or _controller_uid(job) != run.metadata.uid:
        raise _gone(pod_name) if run.ended else _not_yet(run)
    pod = await client.find_metadata(PODS, namespace, pod_name)
    if pod is None:
        raise _gone(pod_name)
    if _controller_uid(pod) != job["metadata"]["uid"]:
        message = f"pod {pod_name}, which the run's status names, is not of the run's Job {run.job_name}"
        raise refusals.conflict(message, reason="ForeignPod")
    return pod_name


def _parsed(body: Object) -> AgentRun:
    try:
        run = AgentRun.model_validate(body)
    except ValidationError as error:
        raise refusals.conflict("the run has a field that this version cannot read", reason="RunUnreadable") from error
    if run.spec.mode == "server":
        message = f"this run is the web endpoint of instance {run.spec.agent_ref}, whose pods kubectl logs shows"
        raise refusals.conflict(message, reason="ServerRun")
    return run


def _controller_uid(metadata: Object) -> str | None:
    owners = metadata["metadata"].get("ownerReferences") or ()
    return next((owner.get("uid") for owner in owners if owner.get("controller")), None)


def _not_yet(run: AgentRun) -> Refusal:
    message = f"the run has no pod of its own yet: it is {run.status.phase or 'Pending'}"
    return Refusal(409, "NoPod", message, retry_after=_RETRY_SECONDS)


def _gone(pod: str | None) -> Refusal:
    what = f"The pod {pod} is gone, and its log with it." if pod else "The run ended without a pod."
    return Refusal(410, "PodGone", f"{what} {_KEPT}")


def _explained(error: ApiError) -> Exception:
    """Return the refusal that says what helps, or the error itself."""
    if error.forbidden:
        message = (
            f"The console has no right to the logs of pods: the chart's value console.logs gives it. {error.message}"
        )
        return Refusal(403, "LogsOff", message)
    if error.not_found:
        return _gone(None)
    if error.status == 400:  # the container is waiting to start
        return Refusal(409, "NoPod", error.message, retry_after=_RETRY_SECONDS)
    return error
