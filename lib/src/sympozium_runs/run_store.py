"""The AgentRuns in the cluster: the only writer and reader of them on this side. The run is the truth (rule 1)."""

from datetime import datetime
from typing import Any

from sympozium_api import effective, installed_skills, names, terminal_status
from sympozium_api.agent_protocol import End
from sympozium_api.client import ApiError, Client
from sympozium_api.clock import Clock
from sympozium_api.installed_skills import InstalledSkill
from sympozium_api.instance import SympoziumInstance
from sympozium_api.resources import CONFIG_MAPS, INSTANCES, RUNS
from sympozium_api.run import ENDED, AgentRun
from sympozium_api.timestamps import timestamp


class RunStore:
    """Reads and writes AgentRuns. Every method may raise ApiError and ApiUnavailable."""

    def __init__(self, client: Client, clock: Clock) -> None:
        self._client = client
        self._clock = clock

    async def create(self, namespace: str, manifest: dict[str, Any]) -> AgentRun:
        """Make a run; ApiError.already_exists when its name is taken."""
        return AgentRun.model_validate(await self._client.create(RUNS, namespace, manifest))

    async def get(self, namespace: str, name: str) -> AgentRun:
        """A run as it is now."""
        return AgentRun.model_validate(await self._client.get(RUNS, namespace, name))

    async def ended(self, namespace: str, labels: str, *, limit: int, after: str) -> tuple[list[AgentRun], str]:
        """A page of the runs with these labels that have ended, and where the next page begins; "" after the last."""
        found = await self._client.page(
            RUNS, namespace, limit=limit, after=after, labelSelector=labels, fieldSelector=ENDED
        )
        return [AgentRun.model_validate(item) for item in found.items], found.next_page

    async def instance(self, namespace: str, name: str) -> SympoziumInstance:
        """The instance of a run."""
        return SympoziumInstance.model_validate(await self._client.get(INSTANCES, namespace, name))

    async def skills(self, instance: SympoziumInstance) -> list[InstalledSkill] | None:
        """What the operator has gathered of an instance's skills; None: it has not yet."""
        if not effective.skill_refs(instance):
            return []
        namespace, name = instance.key
        return installed_skills.of_config_map(
            await self._client.find(CONFIG_MAPS, namespace, names.installed_skills(name))
        )

    async def cancel(self, namespace: str, name: str) -> None:
        """Ask the operator to end a run; one that has ended stays as it is, one that is gone is no error."""
        await self._mark(namespace, name, {"spec": {"cancel": True}})

    async def discard(self, namespace: str, name: str) -> None:
        """Ask the operator to end a run, unless it has ended, and to delete it; one that is gone is no error."""
        discarded = {"metadata": {"annotations": {names.ANNOTATION_DISCARDED: "true"}}}
        await self._mark(namespace, name, discarded | {"spec": {"cancel": True}})

    async def _mark(self, namespace: str, name: str, patch: dict[str, Any]) -> None:
        try:
            await self._client.patch(RUNS, namespace, name, patch)
        except ApiError as error:
            if not error.not_found:
                raise

    async def decide_start(self, run: AgentRun, status: dict[str, Any]) -> bool:
        """Say how a run starts (``start``: warm or cold), which is written once; False: it was said otherwise, or the run is gone."""
        try:
            await self._client.patch(RUNS, *run.key, {"status": status}, subresource="status")
        except ApiError as error:
            if error.invalid or error.not_found:
                return False
            raise
        return True

    async def end(self, run: AgentRun, pod: str, record: End, *, began: datetime) -> bool:
        """RunStore the terminal status that an end record means; whether this pod's is the one that stands.

        ``began`` is when the pod first spoke, for a run that nobody has reported as running.

        It is written once: the API server refuses to change a terminal status, whoever tries.
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
            found = await self.get(*run.key)
            if not found.ended:
                raise
            return found.status.pod_name == pod and found.status.phase == status["phase"]
        return True
