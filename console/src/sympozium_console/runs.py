"""AgentRuns: read, cancelled, deleted. The console makes none: a request is made at an instance's web endpoint."""

from typing import get_args

from sympozium_api import names
from sympozium_api.client import Client
from sympozium_api.client.rest import Collection
from sympozium_api.resources import RUNS, Object
from sympozium_api.run import TERMINAL_PHASES, Phase
from sympozium_console import errors
from sympozium_console.listing import Listing, plain

_CONTENT = {"spec": ("request", "task", "systemPrompt", "response"), "status": ("result", "choices", "details")}
"""What was asked and what was answered: up to 1.5 MB per run, and not for lists."""
_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
"""The whole object once more, as ``kubectl apply`` keeps it."""


class Runs:
    """The runs of a cluster. Every method may raise ApiError, ApiUnavailable and Refusal."""

    def __init__(self, client: Client, listing: Listing) -> None:
        self._client = client
        self._listing = listing

    async def page(
        self,
        namespace: str | None,
        *,
        limit: int,
        after: str,
        instance: str | None,
        phase: Phase | None,
        source: str | None,
    ) -> Collection:
        """Some of them, by namespace and name, without what was asked and answered."""
        fields = [f"spec.agentRef={instance}"] if instance else []
        if phase == "Pending":  # also those that nobody has looked at yet
            fields += [f"status.phase!={other}" for other in get_args(Phase) if other != phase]
        elif phase:
            fields.append(f"status.phase={phase}")
        selectors = {"fieldSelector": ",".join(fields)} if fields else {}
        if source:
            selectors["labelSelector"] = f"{names.LABEL_SOURCE}={source}"
        return await self._listing.page(RUNS, namespace, limit=limit, after=after, shown=_without_content, **selectors)

    async def get(self, namespace: str, name: str) -> Object:
        """One of them, whole."""
        return plain(await self._client.get(RUNS, namespace, name))

    async def cancel(self, namespace: str, name: str) -> Object:
        """Ask the operator to end a run; Refusal 409 when it has ended, or is a server."""
        run = await self._client.get(RUNS, namespace, name)
        phase = run.get("status", {}).get("phase")
        if phase in TERMINAL_PHASES:
            raise errors.conflict(f"the run has already ended: {phase}", reason="RunEnded")
        if run["spec"].get("mode") == "server":
            instance = run["spec"]["agentRef"]
            message = f"this run is the web endpoint of instance {instance}; switch that off instead"
            raise errors.conflict(message, reason="ServerRun")
        return plain(await self._client.patch(RUNS, namespace, name, {"spec": {"cancel": True}}))

    async def delete(self, namespace: str, name: str) -> None:
        """Delete a run; its pod, where it still works, goes with it."""
        run = await self._client.get(RUNS, namespace, name)
        await self._client.delete(RUNS, namespace, name, uid=run["metadata"]["uid"])


def _without_content(run: Object) -> Object:
    run = plain(run)
    for part, left_out in _CONTENT.items():
        if part in run:
            run[part] = {key: value for key, value in run[part].items() if key not in left_out}
    run["metadata"].get("annotations", {}).pop(_APPLIED, None)
    return run
