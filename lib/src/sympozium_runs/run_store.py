"""Reads and writes of AgentRuns, all of them on this side of the API server. The AgentRun is the truth (rule 1)."""

from datetime import datetime
from typing import Any, Literal

from sympozium_api import effective, installed_skills, names, terminal_status
from sympozium_api.agent_protocol import End
from sympozium_api.client import ApiError, Client
from sympozium_api.clock import Clock
from sympozium_api.installed_skills import InstalledSkill
from sympozium_api.instance import SympoziumInstance
from sympozium_api.resources import CONFIG_MAPS, INSTANCES, RUNS
from sympozium_api.run import ENDED, AgentRun, Claim
from sympozium_api.timestamps import timestamp


class RunStore:
    """The AgentRuns in the cluster. Every method may raise ApiError and ApiUnavailable."""

    def __init__(self, client: Client, clock: Clock) -> None:
        self._client = client
        self._clock = clock

    async def create(self, namespace: str, manifest: dict[str, Any]) -> AgentRun:
        """Create a run. Raises ApiError with ``already_exists`` when its name is taken."""
        return AgentRun.model_validate(await self._client.create(RUNS, namespace, manifest))

    async def get(self, namespace: str, name: str) -> AgentRun:
        """Read a run."""
        return AgentRun.model_validate(await self._client.get(RUNS, namespace, name))

    async def ended(self, namespace: str, labels: str, *, limit: int, after: str) -> tuple[list[AgentRun], str]:
        """Read a page of ended runs with these labels. Return it with the start of the next page, "" after the last one."""
        page = await self._client.page(
            RUNS, namespace, limit=limit, after=after, labelSelector=labels, fieldSelector=ENDED
        )
        return [AgentRun.model_validate(item) for item in page.items], page.next_page

    async def instance(self, namespace: str, name: str) -> SympoziumInstance:
        """Read an instance."""
        return SympoziumInstance.model_validate(await self._client.get(INSTANCES, namespace, name))

    async def skills(self, instance: SympoziumInstance) -> list[InstalledSkill] | None:
        """Read the skills that the operator has gathered for an instance, or None where it has not yet."""
        if not effective.skill_refs(instance):
            return []
        namespace, name = instance.key
        return installed_skills.of_config_map(
            await self._client.find(CONFIG_MAPS, namespace, names.installed_skills(name))
        )

    async def cancel(self, namespace: str, name: str) -> None:
        """Ask the operator to end a run. A run that has ended stays as it is; a run that is gone is not an error."""
        await self._patch_if_exists(namespace, name, {"spec": {"cancel": True}})

    async def discard(self, namespace: str, name: str) -> None:
        """Ask the operator to end a run, unless it has ended, and to delete it. A run that is gone is not an error."""
        discarded = {"metadata": {"annotations": {names.ANNOTATION_DISCARDED: "true"}}}
        await self._patch_if_exists(namespace, name, discarded | {"spec": {"cancel": True}})

    async def decide_start(self, run: AgentRun, start: Literal["warm", "cold"], claim: Claim | None = None) -> bool:
        """Write how a run starts, and the pod that it is bound to where ``claim`` names one.

        Both are written once. Return False if another start was written before, or the run is gone.
        """
        status: dict[str, str] = {"start": start}
        if claim is not None:
            status |= {"jobName": claim.job_name, "podName": claim.pod_name}
        try:
            await self._client.patch(RUNS, *run.key, {"status": status}, subresource="status")
        except ApiError as error:
            if error.invalid or error.not_found:
                return False
            raise
        return True

    async def end(self, run: AgentRun, pod: str, record: End, *, began: datetime) -> bool:
        """Write the terminal status of an end record, and return whether the status that stands is this pod's.

        ``began`` is the time of the pod's first request, for a run that was never reported as running. A terminal status is
        written once: the API server refuses to change it, whoever tries.
        """
        status = terminal_status.status_of(
            record,
            job_name=run.job_name,
            pod_name=pod,
            start=run.start_kind,
            started_at=run.status.started_at or timestamp(began),
            now=self._clock.now(),
        )
        try:
            await self._client.patch(RUNS, *run.key, {"status": status}, subresource="status")
        except ApiError as error:
            if not error.invalid:
                raise
            current = await self.get(*run.key)
            if not current.ended:
                raise
            return current.status.pod_name == pod and current.status.phase == status["phase"]
        return True

    async def _patch_if_exists(self, namespace: str, name: str, patch: dict[str, Any]) -> None:
        try:
            await self._client.patch(RUNS, namespace, name, patch)
        except ApiError as error:
            if not error.not_found:
                raise
