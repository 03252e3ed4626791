"""Deletions of instances that callers asked for: the instance goes once all its runs are archived.

The instance's label ``sympozium.ai/deleting`` is the deletion: web-proxies refuse new runs of it, and any replica of the console
continues what another one began. There is no finalizer, so ``kubectl delete`` and the deletion of a namespace wait for nobody.
"""

import asyncio
import math
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

import structlog

from sympozium_api.client import ApiError, ApiUnavailable, Client
from sympozium_api.clock import Clock
from sympozium_api.names import LABEL_DELETING
from sympozium_api.resources import INSTANCES, Object
from sympozium_api.run_selection import NOT_ENDED
from sympozium_archive.unavailable import DatabaseUnavailable
from sympozium_console.archiver.kept_runs import KeptRuns
from sympozium_console.archiver.run_archive import RunArchive, chunks
from sympozium_console.archiver.run_cancellation import cancel_run
from sympozium_console.deletion_mark import deleting_since
from sympozium_console.instance_repository import InstanceRepository
from sympozium_console.preconditions import Precondition

CANCEL_SECONDS = 30.0
"""Seconds after the request after which runs that go on are cancelled."""
_END_SECONDS = 30.0
"""Seconds after their cancellation after which runs that do not end count as cancelled, because nothing ends them."""
_POLL_SECONDS = 1.0
_AT_ONCE = 500
_ROUNDS = 20
"""Lists of the instance's runs, of which each may show runs that are new or changed since the one before."""

log = structlog.get_logger()

InstanceKey = tuple[str, str, str]
"""Namespace, name and UID."""


@dataclass(frozen=True, kw_only=True)
class InstanceDeletions:
    """Carries out deletions, each once at a time."""

    client: Client
    instances: InstanceRepository
    runs: KeptRuns
    archive: RunArchive
    clock: Clock
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    wait_seconds: float = 5.0
    """Seconds for which a request waits for the end of its deletion."""
    _tasks: dict[InstanceKey, asyncio.Task[bool]] = field(default_factory=dict)

    async def request(self, namespace: str, name: str, precondition: Precondition) -> Object | None:
        """Mark an instance and begin its deletion. Return None if the instance is gone a few seconds later, otherwise the instance.

        Raises Refusal 412, ApiError, ApiUnavailable and DatabaseUnavailable. A deletion that was begun continues.
        """
        instance = await self.instances.mark_deleting(namespace, name, precondition, self._now())
        return None if await self.begin(instance, wait_seconds=self.wait_seconds) else instance

    async def begin(self, instance: Object, *, wait_seconds: float) -> bool:
        """Carry out the deletion of an instance that is marked. Return whether the instance is gone within ``wait_seconds``.

        The deletion continues, here or in another replica. Raises what stopped it: ApiError, ApiUnavailable or DatabaseUnavailable.
        """
        task = self._carried_out(instance)
        await asyncio.wait({task}, timeout=wait_seconds)
        if not task.done():
            return False
        return task.result()

    async def resume(self) -> None:
        """Carry out the deletions that a label names, because another process began them. Raises ApiError and ApiUnavailable."""
        for instance in await self.runs.instances(LABEL_DELETING):
            if deleting_since(instance) is not None:
                self._carried_out(instance)

    def _carried_out(self, instance: Object) -> asyncio.Task[bool]:
        """Return the task that deletes an instance, begun now unless it is under way."""
        metadata = instance["metadata"]
        key = metadata["namespace"], metadata["name"], metadata["uid"]
        task = self._tasks.get(key)
        if task is None:
            task = asyncio.create_task(self._delete(key, deleting_since(instance) or 0.0))
            self._tasks[key] = task
            task.add_done_callback(lambda done: self._ended(key, done))
        return task

    def _ended(self, key: InstanceKey, task: asyncio.Task[bool]) -> None:
        del self._tasks[key]
        if not task.cancelled() and (error := task.exception()):
            known = isinstance(error, ApiError | ApiUnavailable | DatabaseUnavailable)
            log.warning("deletion waits", namespace=key[0], instance=key[1], error=str(error) if known else repr(error))

    async def _delete(self, key: InstanceKey, asked_at: float) -> bool:
        """Delete an instance after its runs. Return False if its mark was taken away."""
        namespace, name, uid = key
        await self._end_runs(key, asked_at)
        stored = dict[str, str | None]()
        for _ in range(_ROUNDS if await self._is_marked(key) else 0):
            unstored = await self._unstored(namespace, name, stored)
            if not unstored:
                break
            for rows in chunks(unstored, _AT_ONCE):
                stored |= await self._store(rows)
        instance = await self._find(key)
        if instance is not None and deleting_since(instance) is not None:
            await self.client.delete(INSTANCES, namespace, name, uid=uid)
            return True
        return instance is None

    async def _is_marked(self, key: InstanceKey) -> bool:
        """Return whether the instance is there still, and nobody has taken the mark away."""
        instance = await self._find(key)
        return instance is not None and deleting_since(instance) is not None

    async def _find(self, key: InstanceKey) -> Object | None:
        namespace, name, uid = key
        instance = await self.client.find_metadata(INSTANCES, namespace, name)
        return instance if instance is not None and instance["metadata"]["uid"] == uid else None

    async def _end_runs(self, key: InstanceKey, asked_at: float) -> None:
        """Return once no run of the instance goes on, or its mark is gone. Runs that go on 30 s after the request are cancelled."""
        namespace, name, _ = key
        cancelled, cancelled_at = set[str](), math.inf
        cancel_at = min(asked_at, self._now()) + CANCEL_SECONDS
        while await self._is_marked(key):
            open_runs = await self.runs.of_instance(namespace, name, NOT_ENDED)
            if not open_runs or self._now() >= cancelled_at + _END_SECONDS:
                return
            if self._now() >= cancel_at:
                for run in open_runs:
                    if run["metadata"]["uid"] not in cancelled:
                        await cancel_run(self.client, run)
                        cancelled.add(run["metadata"]["uid"])
                cancelled_at = min(cancelled_at, self._now())
            await self.sleep(_POLL_SECONDS)

    def _now(self) -> float:
        return self.clock.now().timestamp()

    async def _unstored(self, namespace: str, name: str, stored: Mapping[str, str | None]) -> list[Object]:
        """Return the runs of the instance whose newest version this deletion has not stored."""
        rows = await self.runs.of_instance(namespace, name)
        return [row for row in rows if stored.get(row["metadata"]["uid"]) != row["metadata"]["resourceVersion"]]

    async def _store(self, rows: list[Object]) -> dict[str, str | None]:
        """Archive runs, those that go on still as cancelled; return their versions by UID. Raises ApiUnavailable if one cannot be read."""
        incomplete = await self.archive.incomplete(rows)
        stored = await self.archive.store_all(incomplete, as_cancelled=True)
        if len(stored) < len(incomplete):
            raise ApiUnavailable("not every run of the instance could be read")
        return {row["metadata"]["uid"]: row["metadata"]["resourceVersion"] for row in rows} | stored
