"""Trials of Providers by the egress guard, beside the work queue because one takes seconds: paced, and never two of one Provider."""

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass, field
from typing import NamedTuple

from sympozium_operator.cluster.egress_guard import Verify
from sympozium_operator.policy.provider_plan import Trial
from sympozium_operator.result import Key
from sympozium_operator.scheduling.pace import Pace

AT_ONCE = 8
"""Most trials at the same time."""
TRIALS_PER_SECOND = 5.0
"""Most trials that begin in a second, of all Providers together."""


class _Planned(NamedTuple):
    """A trial to make."""

    at: float
    digest: str
    model: str | None


@dataclass
class ProviderTrials:
    """Trials to make, and results that no reconcile has taken yet."""

    verify: Verify | None
    """None: the installation has no guard, and nothing is tried."""
    pace: Pace
    monotonic: Callable[[], float]
    _planned: dict[Key, _Planned] = field(default_factory=dict)
    _running: dict[Key, str] = field(default_factory=dict)
    """Digests of what is tried at this moment."""
    _results: dict[Key, Trial] = field(default_factory=dict)
    _failures: dict[Key, int] = field(default_factory=dict)

    @property
    def has_guard(self) -> bool:
        """True if Providers can be tried."""
        return self.verify is not None

    def plan(self, key: Key, digest: str, model: str | None, after: float | None) -> None:
        """Plan the next trial of a Provider; ``after`` None: there is none.

        A trial of the same digest that is planned, or going on, stays: the operator's own write of a result is a change too.
        """
        planned = self._planned.get(key)
        if after is None:
            self._planned.pop(key, None)
        elif self._running.get(key) != digest and (planned is None or planned.digest != digest):
            self._planned[key] = _Planned(self.monotonic() + after, digest, model)

    def take(self, key: Key) -> tuple[Trial | None, int]:
        """Return the result that was not taken yet, and the number of failures in a row."""
        return self._results.pop(key, None), self._failures.get(key, 0)

    def forget(self, key: Key) -> None:
        """Forget a Provider that is gone."""
        for known in (self._planned, self._results, self._failures):
            known.pop(key, None)

    async def try_due(self) -> AsyncGenerator[Key]:
        """Make all trials that are due, and yield each Provider whose result is there."""
        while due := self._next():
            trials = [asyncio.ensure_future(self._try(key, planned)) for key, planned in due.items()]
            try:
                for trial in asyncio.as_completed(trials):
                    yield await trial
            finally:
                for task in trials:
                    task.cancel()

    def _next(self) -> dict[Key, _Planned]:
        """Return the next trials to make. Namespaces take turns, so that servers that do not answer hold up their own tenant's."""
        now, turns = self.monotonic(), Counter[str]()
        ranked: list[tuple[int, float, Key]] = []
        for key, planned in sorted(self._planned.items(), key=lambda item: item[1].at):
            if planned.at > now:
                break
            turns[key.namespace] += 1
            ranked.append((turns[key.namespace], planned.at, key))
        ranked.sort(key=lambda each: each[:2])
        return {key: self._planned.pop(key) for _, _, key in ranked[:AT_ONCE]}

    async def _try(self, key: Key, planned: _Planned) -> Key:
        self._running[key] = planned.digest
        try:
            await self.pace.step()
            assert self.verify is not None  # noqa: S101 - nothing is planned without a guard
            found = await self.verify(key.namespace, key.name, planned.model)
        finally:
            del self._running[key]
        self._failures[key] = 0 if found.valid else self._failures.get(key, 0) + 1
        named = f"{found.model or planned.model or 'the provider'}"
        message = f"{named} answered with a completion" if found.valid else found.error
        self._results[key] = Trial(planned.digest, found.valid, found.reason, message, found.model or planned.model)
        return key
