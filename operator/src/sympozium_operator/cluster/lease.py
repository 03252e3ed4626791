"""Leader election by a Lease: one replica works, the others wait, and one that loses the Lease stops before the next one starts.

A Lease may be one of several, each of a shard (``shard_leases``): ``Terms`` say when a replica takes it and hands it over.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import structlog

from sympozium_api import names, operator_lease
from sympozium_api.client import ApiError, ApiUnavailable, Client
from sympozium_api.clock import Clock
from sympozium_api.resources import LEASES, Object
from sympozium_api.timestamps import micro_timestamp

DURATION = 15.0
"""Seconds after which another replica may take a Lease that its holder does not renew."""
RENEW = 5.0
GIVE_UP = 10.0
"""Seconds without a renewal after which the holder stops, well before another replica may start."""
RETRY = 1.0
"""Seconds between attempts. A dead holder is followed within DURATION and two of these: one to see its last renewal, one its expiry."""
ATTEMPT = 3.0
"""Most seconds of one call: GIVE_UP and one call after it still end before DURATION."""
SET_ASIDE = 5.0
"""Seconds for which a Lease that was handed over is left to the replica that asked for it."""

log = structlog.get_logger()


class LeaseLost(Exception):
    """Loss of leadership: another replica holds the Lease, or it was not renewed in time. All work of this replica must end."""


class Terms:
    """Conditions of a Lease; these of the only one: any replica takes it, and none hands it over."""

    def may_take(self) -> bool:
        """Return whether this replica may take the Lease if it is free."""
        return True

    async def confirm(self) -> None:
        """Raise LeaseLost if the Lease, which was just renewed, is worth nothing."""

    def hands_over_to(self, _: str) -> bool:
        """Return whether this replica hands the Lease over to another one that asks for it."""
        return False


class Lease:
    """Side of one replica in the election. It trusts no other replica's clock: only changes between two reads of the Lease count."""

    def __init__(
        self,
        client: Client,
        namespace: str,
        name: str,
        identity: str,
        *,
        clock: Clock,
        sleep: Callable[[float], Awaitable[None]],
        terms: Terms | None = None,
    ) -> None:
        self._client = client
        self._namespace = namespace
        self._name = name
        self._identity = identity
        self._clock = clock
        self._sleep = sleep
        self._terms = terms or Terms()
        self._turn = asyncio.Lock()
        """Lock of the calls, because ``release`` may come while ``hold`` renews."""
        self.holder = ""
        """Holder at the last look, this replica included; empty: none, or one that has not renewed the Lease for its duration."""
        self.annotations: Object = {}
        """Annotations at the last look."""
        self._aside: tuple[Any, float] | None = None
        self._seen: tuple[Any, ...] | None = None
        self._seen_at = 0.0
        self._renewed_at: float | None = None

    @property
    def is_held(self) -> bool:
        """True while this replica holds the Lease."""
        return self._renewed_at is not None

    async def acquire(self) -> None:
        """Return when this replica holds the Lease."""
        while not await self._try(self._take):
            await self._sleep(RETRY)
        log.info("leadership acquired", identity=self._identity, lease=self._name)

    async def hold(self) -> None:
        """Renew the Lease until it is released. Raises LeaseLost."""
        while self._renewed_at is not None:
            await self._sleep(RENEW)
            while not await self._try(self._renew) and self._renewed_at is not None:
                if self._clock.monotonic() - self._renewed_at >= GIVE_UP:
                    raise LeaseLost("the Lease could not be renewed in time")
                await self._sleep(RETRY)

    async def release(self) -> None:
        """Release the Lease if this replica holds it, so that the next replica need not wait for its expiry."""
        async with self._turn:
            if self._renewed_at is not None:
                self._renewed_at, self.holder = None, ""
                await self._release()

    async def look(self) -> str:
        """Return ``holder`` as it is now. Raises ApiError and ApiUnavailable."""
        body = await self._client.find(LEASES, self._namespace, self._name)
        self._note(body)
        return self.holder

    async def ask(self) -> None:
        """Ask the holder to hand the Lease over to this replica, which it does or not. An attempt that fails is lost."""

        async def step() -> bool:
            body = await self._client.get(LEASES, self._namespace, self._name)
            body["metadata"].setdefault("annotations", {})[names.ANNOTATION_ASKED_BY] = self._identity
            await self._client.replace(LEASES, self._namespace, body)
            return True

        await self._try(step)

    async def _release(self) -> None:
        try:
            body = await self._client.get(LEASES, self._namespace, self._name)
            if (body.get("spec") or {}).get("holderIdentity") == self._identity:
                body["spec"] |= {"holderIdentity": "", "leaseDurationSeconds": 1, "renewTime": self._now()}
                await self._client.replace(LEASES, self._namespace, body)
        except (ApiError, ApiUnavailable) as error:
            log.warning("lease not released", error=str(error))

    async def _try(self, step: Callable[[], Awaitable[bool]]) -> bool:
        try:
            async with asyncio.timeout(ATTEMPT), self._turn:
                return await step()
        except (ApiError, ApiUnavailable, TimeoutError) as error:
            log.warning("lease request failed", error=str(error))
            return False

    async def _take(self) -> bool:
        body = await self._client.find(LEASES, self._namespace, self._name)
        is_free = self._note(body)
        if not self._terms.may_take():
            return False
        if body is None:
            began = self._clock.monotonic()
            head = {"apiVersion": LEASES.api_version, "kind": LEASES.kind}
            metadata = self._annotated({"name": self._name, "namespace": self._namespace})
            spec = self._claim({})
            await self._client.create(LEASES, self._namespace, head | {"metadata": metadata, "spec": spec})
            self._renewed_at, self.holder = began, self._identity
            return True
        return await self._write(body) if is_free and not self._is_set_aside(body) else False

    async def _renew(self) -> bool:
        if self._renewed_at is None:
            return True  # released meanwhile
        body = await self._client.get(LEASES, self._namespace, self._name)
        if (holder := (body.get("spec") or {}).get("holderIdentity")) != self._identity:
            raise LeaseLost(f"{holder or 'no replica'} holds the Lease")
        asker = (body["metadata"].get("annotations") or {}).get(names.ANNOTATION_ASKED_BY)
        await self._write(body, keep_asker=bool(asker) and self._terms.hands_over_to(str(asker)))
        await self._terms.confirm()
        return True

    async def _write(self, body: Object, *, keep_asker: bool = False) -> bool:
        began = self._clock.monotonic()  # a slow write counts from its beginning
        body["metadata"] = self._annotated(body["metadata"], keep_asker=keep_asker)
        body["spec"] = self._claim(body.get("spec") or {})
        await self._client.replace(LEASES, self._namespace, body)
        self._renewed_at, self.holder = began, self._identity
        self.annotations = body["metadata"].get("annotations") or {}
        return True

    def _annotated(self, metadata: Object, *, keep_asker: bool = False) -> Object:
        """Return the metadata of a Lease that this replica takes or renews, with the most shards that there ever were."""
        annotations = dict(metadata.get("annotations") or {})
        if not keep_asker:
            annotations.pop(names.ANNOTATION_ASKED_BY, None)
        most = operator_lease.shards_of(self._identity)
        if most > most_shards(annotations):
            annotations[names.ANNOTATION_MOST_SHARDS] = str(most)
        return metadata | {"annotations": annotations} if annotations or "annotations" in metadata else metadata

    def _note(self, body: Object | None) -> bool:
        """Remember who holds the Lease; return whether it is free."""
        spec = (body or {}).get("spec") or {}
        is_free = self._is_free(spec)
        self.holder = "" if is_free else str(spec["holderIdentity"])
        self.annotations = ((body or {}).get("metadata") or {}).get("annotations") or {}
        return is_free

    def _is_set_aside(self, body: Object) -> bool:
        """Return whether the last holder has just handed the Lease over to another replica, which may still take it."""
        if self.annotations.get(names.ANNOTATION_ASKED_BY) in (None, self._identity):
            return False
        version, now = body["metadata"].get("resourceVersion"), self._clock.monotonic()
        if self._aside is None or self._aside[0] != version:
            self._aside = version, now
        return now - self._aside[1] < SET_ASIDE

    def _is_free(self, spec: Object) -> bool:
        """Return whether the Lease has no holder, or its holder has not renewed it for its whole duration while this replica watched."""
        holder = spec.get("holderIdentity")
        if not holder or holder == self._identity:
            return True
        seen = (holder, spec.get("renewTime"), spec.get("leaseTransitions"))
        if seen != self._seen:
            self._seen, self._seen_at = seen, self._clock.monotonic()
        duration = float(spec.get("leaseDurationSeconds") or DURATION)
        return self._clock.monotonic() - self._seen_at >= duration

    def _claim(self, spec: Object) -> Object:
        mine = spec.get("holderIdentity") == self._identity
        return spec | {
            "holderIdentity": self._identity,
            "leaseDurationSeconds": int(DURATION),
            "acquireTime": spec.get("acquireTime") if mine and spec.get("acquireTime") else self._now(),
            "renewTime": self._now(),
            "leaseTransitions": (spec.get("leaseTransitions") or 0) + (0 if mine else 1),
        }

    def _now(self) -> str:
        return micro_timestamp(self._clock.now())


def most_shards(annotations: Object) -> int:
    """Return the most shards that an installation ever had, as the annotations of its first Lease say."""
    most = str(annotations.get(names.ANNOTATION_MOST_SHARDS) or "")
    return min(int(most), operator_lease.MOST_SHARDS) if most.isdecimal() else 1
