"""Reader of the SympoziumPolicies that may bind the instances of a namespace. On a cluster without their CRD there are none."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from sympozium_api.client import ApiError, Client
from sympozium_api.clock import Clock
from sympozium_api.effective_policy import EffectivePolicy
from sympozium_api.instance import SympoziumInstance
from sympozium_api.policy_binding import Candidate, PolicySources, candidate, effective
from sympozium_api.resources import NAMESPACES, POLICIES

FRESH_SECONDS = 0.5
"""Seconds for which what was read counts, so that a change that binds thousands of instances is not read thousands of times."""
_MOST = 1000
"""Namespaces that are remembered."""

T = TypeVar("T")


@dataclass
class _Recent(Generic[T]):
    """Values that were read in the last moments, by namespace."""

    now: Callable[[], float]
    _read: dict[str, tuple[float, asyncio.Future[T]]] = field(default_factory=dict)

    async def get(self, namespace: str, read: Callable[[], Awaitable[T]]) -> T:
        known, now = self._read.get(namespace), self.now()
        if known is not None and now - known[0] < FRESH_SECONDS and not _has_failed(known[1]):
            return await asyncio.shield(known[1])
        if len(self._read) >= _MOST:
            self._read.clear()
        reading = asyncio.ensure_future(read())
        self._read[namespace] = (now, reading)
        return await asyncio.shield(reading)

    def forget(self) -> None:
        self._read.clear()


def _has_failed(reading: "asyncio.Future[T]") -> bool:
    return reading.done() and (reading.cancelled() or reading.exception() is not None)


class PolicyReader:
    """Policies of all namespaces. Its methods raise ApiError and ApiUnavailable: without the policies nothing is decided."""

    def __init__(self, client: Client, clock: Clock, namespace: str) -> None:
        """``namespace``: the operator's, whose policies may bind the instances of others."""
        self._client = client
        self._namespace = namespace
        self._policies = _Recent[tuple[Candidate, ...]](clock.monotonic)
        self._labels = _Recent[Mapping[str, str] | None](clock.monotonic)

    async def of(self, namespace: str) -> PolicySources:
        """Return the policies that may bind instances of a namespace."""
        own, installation = await asyncio.gather(self.in_namespace(namespace), self.in_namespace(self._namespace))
        if not any(each.spec and each.spec.namespace_selector is not None for each in installation):
            return PolicySources(own, installation)
        labels = await self._labels.get(namespace, lambda: self._labels_of(namespace))
        return PolicySources(own, installation, labels)

    async def effective(self, instance: SympoziumInstance) -> EffectivePolicy | None:
        """Return the policy that holds for an instance; None: no policy binds it."""
        return effective(instance, await self.of(instance.metadata.namespace))

    async def in_namespace(self, namespace: str) -> tuple[Candidate, ...]:
        """Return the policies of a namespace."""
        return await self._policies.get(namespace, lambda: self._list(namespace))

    def forget(self) -> None:
        """Read everything again from now on, because something has changed."""
        self._policies.forget()
        self._labels.forget()

    async def _list(self, namespace: str) -> tuple[Candidate, ...]:
        try:
            return tuple(candidate(body) for body in await self._client.list(POLICIES, namespace))
        except ApiError as error:
            if error.not_found:
                return ()
            raise

    async def _labels_of(self, namespace: str) -> Mapping[str, str] | None:
        """Return the labels of a namespace; None: an operator of some namespaces may not read them (decision 0017)."""
        try:
            body = await self._client.find_metadata(NAMESPACES, None, namespace)
        except ApiError as error:
            if error.forbidden:
                return None
            raise
        return (body["metadata"].get("labels") or {}) if body else None
