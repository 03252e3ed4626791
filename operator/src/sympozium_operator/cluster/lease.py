"""Leader election by a Lease: one replica works, the others wait, and one that loses the Lease stops before the next one starts."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import structlog

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

log = structlog.get_logger()


class LeaseLost(Exception):
    """Loss of leadership: another replica holds the Lease, or it was not renewed in time. All work of this replica must end."""


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
    ) -> None:
        self._client = client
        self._namespace = namespace
        self._name = name
        self._identity = identity
        self._clock = clock
        self._sleep = sleep
        self._seen: tuple[Any, ...] | None = None
        self._seen_at = 0.0
        self._renewed_at: float | None = None

    async def acquire(self) -> None:
        """Return when this replica holds the Lease."""
        while not await self._try(self._take):
            await self._sleep(RETRY)
        log.info("leadership acquired", identity=self._identity)

    async def hold(self) -> None:
        """Renew the Lease for ever. Raises LeaseLost."""
        while self._renewed_at is not None:
            await self._sleep(RENEW)
            while not await self._try(self._renew):
                if self._clock.monotonic() - self._renewed_at >= GIVE_UP:
                    raise LeaseLost("the Lease could not be renewed in time")
                await self._sleep(RETRY)

    async def release(self) -> None:
        """Release the Lease if this replica holds it, so that the next replica need not wait for its expiry."""
        if self._renewed_at is None:
            return
        self._renewed_at = None
        try:
            body = await self._client.get(LEASES, self._namespace, self._name)
            if (body.get("spec") or {}).get("holderIdentity") == self._identity:
                body["spec"] |= {"holderIdentity": "", "leaseDurationSeconds": 1, "renewTime": self._now()}
                await self._client.replace(LEASES, self._namespace, body)
        except (ApiError, ApiUnavailable) as error:
            log.warning("lease not released", error=str(error))

    async def _try(self, step: Callable[[], Awaitable[bool]]) -> bool:
        try:
            async with asyncio.timeout(ATTEMPT):
                return await step()
        except (ApiError, ApiUnavailable, TimeoutError) as error:
            log.warning("lease request failed", error=str(error))
            return False

    async def _take(self) -> bool:
        body = await self._client.find(LEASES, self._namespace, self._name)
        if body is None:
            began = self._clock.monotonic()
            head = {"apiVersion": LEASES.api_version, "kind": LEASES.kind}
            metadata = {"name": self._name, "namespace": self._namespace}
            spec = self._claim({})
            await self._client.create(LEASES, self._namespace, head | {"metadata": metadata, "spec": spec})
            self._renewed_at = began
            return True
        return await self._write(body) if self._is_free(body.get("spec") or {}) else False

    async def _renew(self) -> bool:
        body = await self._client.get(LEASES, self._namespace, self._name)
        if (holder := (body.get("spec") or {}).get("holderIdentity")) != self._identity:
            raise LeaseLost(f"{holder or 'no replica'} holds the Lease")
        return await self._write(body)

    async def _write(self, body: Object) -> bool:
        began = self._clock.monotonic()  # a slow write counts from its beginning
        body["spec"] = self._claim(body.get("spec") or {})
        await self._client.replace(LEASES, self._namespace, body)
        self._renewed_at = began
        return True

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
