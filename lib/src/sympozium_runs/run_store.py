"""Reads and writes of AgentRuns, all of them on this side of the API server. The AgentRun is the truth (rule 1)."""

import asyncio
from collections.abc import AsyncIterator, Callable, Collection
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from sympozium_api import effective, installed_skills, names, session_annotations, terminal_status
from sympozium_api.base import Metadata
from sympozium_api.client import ApiError, ApiUnavailable, Client
from sympozium_api.client.collection import Reading
from sympozium_api.clock import Clock
from sympozium_api.installed_skills import InstalledSkill
from sympozium_api.instance import SympoziumInstance
from sympozium_api.resources import CONFIG_MAPS, INSTANCES, RUNS
from sympozium_api.run import AgentRun, Claim
from sympozium_api.run_selection import ENDED
from sympozium_api.terminal_status import Ending
from sympozium_api.timestamps import timestamp
from sympozium_runs import long_answers
from sympozium_runs.agent_documents import AgentDocuments
from sympozium_runs.run_parts import RunParts, Texts, answer_bytes, answer_size, has_texts, question_bytes, with_texts
from sympozium_runs.stored_end import OtherPodsRun, StoredEnd, not_storable

_READERS = 4
"""Whole runs that are read at the same time: each may hold 1.5 MB, and take many times that once it is parsed."""
_READ_SECONDS = 10.0
"""Seconds for which a read waits for its turn, as long as a call of the API server may take."""
_WRITE_SECONDS = 20.0
"""Seconds from a run's creation in which its web-proxy writes its parts: twice as long as a call of the API server may take."""
_POLL_SECONDS = 0.5


Hold = Callable[[int], object]
"""Takes the bytes of texts that are about to be read from parts, and may raise where they are too many."""


def hold_any(_: int) -> None:
    """Take any number of bytes."""


@dataclass(frozen=True)
class _EndFacts:
    """Facts of a run that its end record does not hold."""

    began: datetime
    first_token_at: datetime | None
    model: str | None


class PartsNotStored(Exception):
    """A run was created, and its request could not be stored whole."""

    def __init__(self, cause: ApiError | ApiUnavailable) -> None:
        super().__init__(str(cause))
        self.cause = cause


class RunStore:
    """The AgentRuns in the cluster. Every method may raise ApiError and ApiUnavailable."""

    def __init__(self, client: Client, clock: Clock) -> None:
        self._client = client
        self._clock = clock
        self._parts = RunParts(client)
        self.documents = AgentDocuments(client)
        self._readers = asyncio.Semaphore(_READERS)

    async def create(
        self, namespace: str, manifest: dict[str, Any], texts: Texts, *, is_large: bool = False
    ) -> AgentRun:
        """Create a run and then the parts of its texts, which it owns. Raises ApiError with ``already_exists`` if its name is taken.

        Raises PartsNotStored if the run is there and the parts are not. Of a large run the API server's answer does not repeat
        the contents.
        """
        created = await self._client.create(RUNS, namespace, manifest, metadata_only=is_large)
        run = AgentRun.model_validate(manifest | {"metadata": created["metadata"]} if is_large else created)
        if not run.has_parts:
            return run
        try:
            await self._parts.write(run, texts)
        except (ApiError, ApiUnavailable) as error:
            raise PartsNotStored(error) from error
        return await asyncio.to_thread(with_texts, run, texts)

    async def complete(self, run: AgentRun, texts: Texts, hold: Hold = hold_any) -> AgentRun:
        """Return a run that was found by a repeated request, with its texts. ``hold``: as for ``get``.

        The parts of an open run's question that are missing are written. A request in other bytes cannot write them: if nobody
        does, the run is cancelled, and returned so.
        """
        is_own = has_texts(run, texts)
        if run.has_parts and not run.ended:
            if is_own:
                await self._parts.complete(run, texts)
            else:
                run = await self._written_by_others(run)
        if size := answer_bytes(run) + (0 if is_own else question_bytes(run)):
            hold(size)
        run = await self.with_answer(run)
        if not run.has_parts:
            return run
        return await (asyncio.to_thread(with_texts, run, texts) if is_own else self.with_question(run))

    async def _written_by_others(self, run: AgentRun) -> AgentRun:
        """Return a run once its question is there, or it has ended. Cancel it if nobody has written its question in time."""
        while not (run.ended or run.spec.cancel or await self._parts.has_question(run)):
            if (self._clock.now() - run.metadata.created).total_seconds() > _WRITE_SECONDS:
                await self.cancel(*run.key)
            else:
                await asyncio.sleep(_POLL_SECONDS)
            run = await self.head(*run.key)
        return run

    async def get(self, namespace: str, name: str, hold: Hold = hold_any) -> AgentRun:
        """Read a run, with the texts that are in parts. Before them ``hold`` is called with their bytes; what it raises passes."""
        run = await self.head(namespace, name)
        if size := question_bytes(run) + answer_bytes(run):
            hold(size)
            run = await self.with_answer(await self.with_question(run))
        return run

    async def head(self, namespace: str, name: str) -> AgentRun:
        """Read a run as its object is. Texts in parts stay there."""
        async with self._turn():
            return AgentRun.model_validate(await self._client.get(RUNS, namespace, name))

    async def with_question(self, run: AgentRun) -> AgentRun:
        """Return a run with the texts of its question that are in parts. A text of which a part is missing stays in parts."""
        async with self._turn():
            return await self._parts.with_question(run)

    async def with_answer(self, run: AgentRun) -> AgentRun:
        """Return a run with its answer if that is in parts. An answer of which a part is missing stays in parts."""
        answer = run.status.answer
        if answer is None or answer.parts is None:
            return run
        async with self._turn():
            return await self._parts.with_answer(run, answer)

    async def ended(self, namespace: str, labels: str, *, limit: int, after: str) -> tuple[list[Metadata], str]:
        """Read a page of ended runs with these labels, without contents.

        Return it with the start of the next page, "" after the last one.
        """
        page = await self._client.page(
            RUNS,
            namespace,
            Reading(metadata_only=True),
            limit=limit,
            after=after,
            labelSelector=labels,
            fieldSelector=ENDED,
        )
        return [Metadata.model_validate(item["metadata"]) for item in page.items], page.next_page

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

    async def cancel(self, namespace: str, name: str, *, version: str = "") -> None:
        """Ask the operator to end a run. A run that has ended stays as it is; a run that is gone is not an error.

        Raises ApiError 409 if the run is no longer of resource version ``version``.
        """
        await self._patch_if_exists(namespace, name, _only(version) | {"spec": {"cancel": True}})

    async def set_waiting_at(self, run: AgentRun, addresses: Collection[str]) -> AgentRun:
        """Write the replicas whose callers wait for a run, which gives the run another version even if they are the same.

        Raises ApiError 409 if the run has changed since it was read.
        """
        waiting = ",".join(sorted(addresses))
        if run.metadata.annotations.get(names.ANNOTATION_WAITING_AT) == waiting:
            waiting += ","  # because a patch that changes nothing leaves the version as it is
        annotations = {"annotations": {names.ANNOTATION_WAITING_AT: waiting}}
        patch = {"metadata": {"resourceVersion": run.metadata.resource_version} | annotations}
        written = await self._client.patch(RUNS, *run.key, patch, metadata_only=True)
        return run.model_copy(update={"metadata": Metadata.model_validate(written["metadata"])})

    async def record_attempt(self, first: AgentRun, number: int, expires: str | None) -> None:
        """Write on the first run of an Idempotency-Key which number the key's newest run has, and until when the key stands."""
        recorded = {names.ANNOTATION_NEWEST_ATTEMPT: str(number), names.ANNOTATION_KEY_EXPIRES: expires}
        await self._patch_if_exists(*first.key, {"metadata": {"annotations": recorded}})

    async def discard(self, namespace: str, name: str) -> None:
        """Ask the operator to end a run, unless it has ended, and to delete it. A run that is gone is not an error."""
        discarded = {"metadata": {"annotations": {names.ANNOTATION_DISCARDED: "true"}}}
        await self._patch_if_exists(namespace, name, discarded | {"spec": {"cancel": True}})

    async def decide_start(self, run: AgentRun, start: Literal["warm", "cold"], claim: Claim | None = None) -> bool:
        """Write how a run starts, and the pod that it is bound to from now on where ``claim`` names one.

        Both are written once. Return False if another start was written before, or the run is gone.
        """
        status: dict[str, str] = {"start": start}
        if claim is not None:
            now = timestamp(self._clock.now())
            status |= {"jobName": claim.job_name, "podName": claim.pod_name, "startedAt": now}
        try:
            await self._client.patch(RUNS, *run.key, {"status": status}, subresource="status", metadata_only=True)
        except ApiError as error:
            if error.invalid or error.not_found:
                return False
            raise
        return True

    async def end(
        self,
        run: AgentRun,
        pod: str,
        end: Ending,
        *,
        began: datetime,
        first_token_at: datetime | None = None,
        model: str | None = None,
    ) -> StoredEnd:
        """Write the terminal status of an end record, and before it the parts of a long answer. Return the end that stands.

        ``began`` is the time of the pod's first request, for a run that was never reported as running; ``first_token_at`` that of
        the answer's first piece, and ``model`` the model's name, where they are known. A terminal status is
        written once: the API server refuses to change it, whoever tries. An answer that does not fit beside its request is
        written in parts; one that the API server cannot store ends the run with an error instead. Raises OtherPodsRun.
        """
        facts = _EndFacts(began, first_token_at, model)
        try:
            return await self._write_end(run, pod, end, facts)
        except ApiError as refusal:
            if end.record["type"] == "error" or not (refusal.too_large or refusal.invalid or refusal.status == 400):
                raise
            if refusal.too_large and end.answer is None:
                in_parts = await asyncio.to_thread(terminal_status.ending_of, end.record, in_parts=True)
                return await self.end(run, pod, in_parts, began=began, first_token_at=first_token_at, model=model)
            error = not_storable(refusal, end.record["durationMs"])
            return await self._write_end(run, pod, terminal_status.ending_of(error), facts)

    async def _write_end(self, run: AgentRun, pod: str, end: Ending, facts: _EndFacts) -> StoredEnd:
        if end.answer is not None:
            if stands := await self._standing_end(run, pod, end):  # an ended run gets no further parts
                return stands
            try:
                await self._parts.write(run, {"answer": end.answer})
            except ApiError as refusal:
                if not refusal.final:
                    raise
                error = not_storable(refusal, end.record["durationMs"])
                return await self._write_end(run, pod, terminal_status.ending_of(error), facts)
        status = terminal_status.status_of(
            end,
            job_name=run.job_name,
            pod_name=pod,
            start=run.start_kind,
            started_at=run.status.started_at or timestamp(facts.began),
            now=self._clock.now(),
            model=facts.model,
            generation=run.metadata.generation or None,
            accepted_at=run.accepted_at or None,
            first_token_at=facts.first_token_at,
            left_out=session_annotations.left_out(run.metadata.annotations),
        )
        try:
            await self._client.patch(RUNS, *run.key, {"status": status}, subresource="status", metadata_only=True)
        except ApiError as error:
            if error.invalid and (stands := await self._standing_end(run, pod, end)):
                return stands
            raise
        return StoredEnd(end.record, is_own=True, size=end.size)

    async def _standing_end(self, run: AgentRun, pod: str, end: Ending) -> StoredEnd | None:
        """Return the end of a run that has ended already; None if it is open. Raises OtherPodsRun."""
        current = await self.head(*run.key)
        if not current.ended:
            if not current.is_assigned_to(pod):
                raise OtherPodsRun
            return None
        is_own = current.status.pod_name == pod and current.status.phase == end.outcome["phase"]
        status = (await self.with_answer(current)).status
        return StoredEnd(await long_answers.record_of(status), is_own, size=answer_size(status))

    async def _patch_if_exists(self, namespace: str, name: str, patch: dict[str, Any]) -> None:
        try:
            await self._client.patch(RUNS, namespace, name, patch, metadata_only=True)
        except ApiError as error:
            if not error.not_found:
                raise

    @asynccontextmanager
    async def _turn(self) -> AsyncIterator[None]:
        """Wait for a turn to read a whole run."""
        try:
            async with asyncio.timeout(_READ_SECONDS):
                await self._readers.acquire()
        except TimeoutError as error:
            raise ApiUnavailable("other reads of runs have not been answered") from error
        try:
            yield
        finally:
            self._readers.release()


def _only(version: str) -> dict[str, Any]:
    """Return the part of a patch by which the API server refuses it for another version of the object."""
    return {"metadata": {"resourceVersion": version}} if version else {}
