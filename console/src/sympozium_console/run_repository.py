"""AgentRuns in the API server: reads, cancellations and deletions. ``sympozium_domain`` creates them."""

from dataclasses import dataclass

from sympozium_api import names
from sympozium_api.client import Client
from sympozium_api.client.collection import Collection
from sympozium_api.resources import RUNS, Object
from sympozium_api.run import without_contents
from sympozium_api.run_selection import run_fields
from sympozium_api.run_status import TERMINAL_PHASES, Phase
from sympozium_console import refusals
from sympozium_domain.object_pages import ObjectPages, without_managed_fields


@dataclass(frozen=True)
class RunSelection:
    """Conditions on the runs of a list; None: any."""

    instance: str | None = None
    phase: Phase | None = None
    source: str | None = None


class RunRepository:
    """The runs of a cluster. Every method may raise ApiError, ApiUnavailable and Refusal."""

    def __init__(self, client: Client, pages: ObjectPages) -> None:
        self._client = client
        self._pages = pages

    async def page(self, namespace: str | None, limit: int, after: str, *, chosen: RunSelection) -> Collection:
        """Return one page of runs without questions and answers, ordered by namespace and name."""
        selectors = run_fields(chosen.instance, chosen.phase)
        if chosen.source:
            selectors["labelSelector"] = f"{names.LABEL_SOURCE}={chosen.source}"
        return await self._pages.page(RUNS, namespace, limit=limit, after=after, view=without_contents, **selectors)

    async def get(self, namespace: str, name: str) -> Object:
        """Return one run with its question and answer."""
        return without_managed_fields(await self._client.get(RUNS, namespace, name))

    async def cancel(self, namespace: str, name: str, *, dry_run: bool = False) -> Object:
        """Set ``spec.cancel`` of a run and return the run; raise Refusal 409 if it has ended or is a server."""
        run = await self._client.get(RUNS, namespace, name)
        phase = run.get("status", {}).get("phase")
        if phase in TERMINAL_PHASES:
            raise refusals.conflict(f"the run has already ended: {phase}", reason="RunEnded")
        if run["spec"].get("mode") == "server":
            instance = run["spec"]["agentRef"]
            message = f"this run is the web endpoint of instance {instance}; disable the web endpoint instead"
            raise refusals.conflict(message, reason="ServerRun")
        cancelled = await self._client.patch(RUNS, namespace, name, {"spec": {"cancel": True}}, dry_run=dry_run)
        return without_managed_fields(cancelled)

    async def delete(self, namespace: str, name: str, *, dry_run: bool = False) -> None:
        """Delete a run; Kubernetes deletes its pod too."""
        run = await self._client.get(RUNS, namespace, name)
        await self._client.delete(RUNS, namespace, name, uid=run["metadata"]["uid"], dry_run=dry_run)
