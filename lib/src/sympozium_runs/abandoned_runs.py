"""Runs with an Idempotency-Key whose callers have left: cancelled once nobody has come for them at any replica (decision 0041)."""

import asyncio
from functools import partial

from sympozium_api import names
from sympozium_api.client import ApiError
from sympozium_api.run import AgentRun
from sympozium_runs.background_writes import BackgroundWrites
from sympozium_runs.broker import Key, RunBroker
from sympozium_runs.run_store import RunStore


class AbandonedRuns:
    """The runs that callers of this replica, at ``address``, have left, each for ``grace_seconds``.

    The annotation ``waiting-at`` of a run names the replicas whose callers wait for it. Without it, that is the replica that
    created the run, so a run costs a further write only if a caller comes for it at another replica.
    """

    def __init__(
        self, store: RunStore, broker: RunBroker, writes: BackgroundWrites, *, address: str, grace_seconds: float
    ) -> None:
        self._store = store
        self._broker = broker
        self._writes = writes
        self._address = address
        self._grace_seconds = grace_seconds
        self._timers: dict[Key, asyncio.TimerHandle] = {}
        self._expired: set[Key] = set()
        """Runs that this replica is about to leave or to cancel, in the version that it has read."""

    async def join(self, run: AgentRun) -> AgentRun:
        """Write on an open run that a caller waits for it here, and return the run as it is then. Raises ApiError, ApiUnavailable.

        After the grace period the run is written even if it names this replica, because a cancel may be on its way. The API
        server refuses the cancel of a version that has changed.
        """
        while not run.ended and not run.spec.cancel and self._must_write(run):
            try:
                run = await self._store.set_waiting_at(run, _waiting_at(run) | {self._address})
                self._expired.discard(run.key)
            except ApiError as error:
                if error.status != 409:
                    raise
                run = await self._store.get(*run.key)
        return run

    def leave(self, key: Key) -> None:
        """Cancel a run after the grace period, unless a caller comes for it until then."""
        self._stop_timer(key)
        self._timers[key] = asyncio.get_running_loop().call_later(self._grace_seconds, self._expire, key)

    def drain(self) -> None:
        """End all grace periods now, because the process ends before they would."""
        for key in tuple(self._timers):
            self._timers[key].cancel()
            self._expire(key)

    def forget(self, key: Key) -> None:
        """Forget a run that has ended or is gone."""
        self._stop_timer(key)
        self._expired.discard(key)

    def _stop_timer(self, key: Key) -> None:
        if timer := self._timers.pop(key, None):
            timer.cancel()

    def _must_write(self, run: AgentRun) -> bool:
        return run.key in self._expired or self._address not in _waiting_at(run)

    def _expire(self, key: Key) -> None:
        del self._timers[key]
        self._writes.spawn(self._writes.retry(key, "cancel", partial(self._cancel_unless_awaited, key)))

    async def _cancel_unless_awaited(self, key: Key) -> None:
        """Cancel a run, or leave that to the other replicas whose callers wait. Raises ApiError 409 if the run has just changed."""
        if self._is_awaited(key):
            return
        try:
            run = await self._store.head(*key)
        except ApiError as error:
            if error.not_found:
                return
            raise
        if run.ended or run.spec.cancel or self._is_awaited(key):  # a caller may have come during the read
            return
        self._expired.add(key)
        if others := _waiting_at(run) - {self._address}:
            await self._store.set_waiting_at(run, others)
        else:
            await self._store.cancel(*key, version=run.metadata.resource_version)
            self._broker.stop(key)

    def _is_awaited(self, key: Key) -> bool:
        return self._broker.has_caller(key) or self._broker.is_ending(key)


def _waiting_at(run: AgentRun) -> frozenset[str]:
    """Return the replicas whose callers wait for a run."""
    annotations = run.metadata.annotations
    named = annotations.get(names.ANNOTATION_WAITING_AT, annotations.get(names.ANNOTATION_REPLY_TO, ""))
    return frozenset(address for address in named.split(",") if address)
