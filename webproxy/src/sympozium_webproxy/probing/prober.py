"""The loop that checks the model server and the issuer, and stores on the server run what has changed."""

import asyncio
import random
from collections.abc import Awaitable
from dataclasses import dataclass
from typing import Literal

import structlog

from sympozium_api import names
from sympozium_api.client import ApiError, ApiUnavailable, Client
from sympozium_api.instance import SympoziumInstance
from sympozium_api.probes import Probe, Probes
from sympozium_api.resources import RUNS
from sympozium_api.run import AgentRun
from sympozium_webproxy.instance_cache import InstanceCache, ServedInstance
from sympozium_webproxy.probing import issuer_probe, model_probe

log = structlog.get_logger()

Subject = Literal["model", "issuer"]

_SHORTEST_PAUSE = 5.0
"""Seconds between two rounds at least, however often the instance changes."""
_PATIENCE = 12
"""Rounds after which a replica replaces a result that another replica stored and that is not its own: by default an hour."""


@dataclass(frozen=True)
class Own:
    """A replica's own view of a subject."""

    probe: Probe
    contradicted: int = 0
    """Rounds in a row for which the stored result has been another one."""


def next_view(before: Own | None, probe: Probe, stored: Probe | None) -> tuple[Own, bool]:
    """Return a replica's view after a round, and whether it stores its result.

    It does when its own result has changed. Replicas that keep seeing different things so write once each and then leave the
    result alone, except that after _PATIENCE rounds the replica that stored it may be gone.
    """
    if stored == probe:
        return Own(probe), False
    if before is None or before.probe != probe or before.contradicted + 1 >= _PATIENCE:
        return Own(probe), True
    return Own(probe, before.contradicted + 1), False


class Prober:
    """Checks what the instance names, at the start, when it changes and in an interval."""

    def __init__(
        self, client: Client, namespace: str, instance: str, cache: InstanceCache, *, interval_seconds: float
    ) -> None:
        self._client = client
        self._key = (namespace, names.web_endpoint_run(instance))
        self._cache = cache
        self._interval_seconds = interval_seconds
        self._views: dict[Subject, Own] = {}
        self._targets: list[str] = []
        self._changed = asyncio.Event()

    def on_instance_change(self, _: SympoziumInstance) -> None:
        """Let the next round begin soon if the instance names other addresses."""
        if self._served is not None and _targets(self._served) != self._targets:
            self._changed.set()

    async def run(self) -> None:
        """Check until cancelled."""
        await self._cache.loaded.wait()
        while True:
            self._changed.clear()
            if self._served is not None:
                await self._try_round(self._served)
            await asyncio.sleep(min(_SHORTEST_PAUSE, self._interval_seconds))
            try:
                async with asyncio.timeout(self._interval_seconds * random.uniform(0.8, 1.2)):
                    await self._changed.wait()
            except TimeoutError:
                pass

    @property
    def _served(self) -> ServedInstance | None:
        return self._cache.snapshot

    async def _try_round(self, served: ServedInstance) -> None:
        try:
            await self._round(served)
        except (ApiError, ApiUnavailable) as error:
            log.warning("checks of model and issuer not stored", reason=str(error))
        except Exception:
            log.exception("checks of model and issuer failed")  # and nothing else: requests are served without them

    async def _round(self, served: ServedInstance) -> None:
        """Check everything once, and store what has changed. A result that cannot be stored is checked again in the next round."""
        self._targets = _targets(served)
        checks: dict[Subject, Awaitable[Probe]] = {}
        if served.instance.spec.agents.default.provider_ref is None:  # else the egress guard tries the Provider
            checks["model"] = model_probe.probe(served.instance)
        if served.oauth is not None:
            checks["issuer"] = issuer_probe.probe(served.oauth)
        results = dict(zip(checks, await asyncio.gather(*checks.values()), strict=True))
        stored = await self._stored()
        views = {subject: self._view(subject, probe, stored) for subject, probe in results.items()}
        changed = {subject: results[subject] for subject, (_, is_new) in views.items() if is_new}
        if changed:
            await self._store(changed)
        self._views = {subject: view for subject, (view, _) in views.items()}

    def _view(self, subject: Subject, probe: Probe, stored: Probes) -> tuple[Own, bool]:
        return next_view(self._views.get(subject), probe, getattr(stored, subject))

    async def _stored(self) -> Probes:
        run = AgentRun.model_validate(await self._client.get(RUNS, *self._key))
        return run.status.probes or Probes()

    async def _store(self, changed: dict[Subject, Probe]) -> None:
        body = {subject: probe.model_dump(by_alias=True) for subject, probe in changed.items()}
        await self._client.patch(
            RUNS, *self._key, {"status": {"probes": body}}, subresource="status", metadata_only=True
        )
        for subject, probe in changed.items():
            log.info("check stored", subject=subject, reachable=probe.reachable, reason=probe.reason)


def _targets(served: ServedInstance) -> list[str]:
    agent = served.instance.spec.agents.default
    targets = [model_probe.target_of(served.instance) if agent.provider_ref is None else ""]
    return targets + ([issuer_probe.target_of(served.oauth)] if served.oauth is not None else [])
