"""The instance that this web-proxy serves and its skills, watched so that a change applies without a restart."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import structlog

from sympozium_api import effective, installed_skills, names
from sympozium_api.client import Change, Client, Snapshot, watch, whole
from sympozium_api.installed_skills import InstalledSkill
from sympozium_api.instance import SympoziumInstance
from sympozium_api.resources import CONFIG_MAPS, INSTANCES
from sympozium_api.web_endpoint import OAuth, RateLimit
from sympozium_http.background_loop import FAILING_SECONDS
from sympozium_http.refusal import Refusal
from sympozium_runs.model_choice import refuse_unready
from sympozium_runs.unreadable_objects import UnreadableObjects

log = structlog.get_logger()


@dataclass(frozen=True)
class ServedInstance:
    """Snapshot of the instance that serves one request."""

    instance: SympoziumInstance
    rate_limit: RateLimit
    skills: tuple[InstalledSkill, ...] = ()
    """Skills that the agents get beside the system prompt."""
    oauth: OAuth | None = None
    """The authorization server whose access tokens are accepted."""


class InstanceCache:
    """The current instance, with the last web endpoint of it that could be parsed."""

    def __init__(self, on_change: Callable[[SympoziumInstance], None] = lambda _: None) -> None:
        """Create an empty cache; ``on_change`` is called with the instance whenever it changes."""
        self.on_change = [on_change]
        self._served: ServedInstance | None = None
        self._skills: tuple[InstalledSkill, ...] = ()
        self._is_on = True
        self.loaded = asyncio.Event()
        """Set once the instance has been read."""

    @property
    def known(self) -> bool:
        """Return True once the instance has been read."""
        return self.loaded.is_set()

    @property
    def rate_limit(self) -> RateLimit:
        """Return the limit of each API key; the default limit until the instance has been read."""
        return self._served.rate_limit if self._served else RateLimit()

    @property
    def instance(self) -> SympoziumInstance | None:
        """Return the instance, even if it cannot be served; None until it has been read."""
        return self._served.instance if self._served else None

    @property
    def snapshot(self) -> ServedInstance | None:
        """Return the instance with its web endpoint and skills, even if it cannot be served; None until it has been read."""
        return self._served

    def oauth(self) -> OAuth | None:
        """Return the authorization server whose tokens are accepted. Raises Refusal 503 until the instance has been read."""
        return self._read().oauth

    def served(self) -> ServedInstance:
        """Return the instance to serve. Raises Refusal 503 if it cannot be served."""
        served = self._read()
        if not self._is_on:
            raise Refusal(503, "web_endpoint_off", "The instance's web endpoint is switched off.", retry_after=1)
        if names.LABEL_DELETING in served.instance.metadata.labels:
            raise Refusal(503, "instance_deleting", "The instance is being deleted, and takes no new requests.")
        refuse_unready(served.instance)
        return served

    def _read(self) -> ServedInstance:
        if self._served is None:
            raise Refusal(503, "instance_unknown", "This replica has not read its instance yet.", retry_after=1)
        return self._served

    def update(self, instance: SympoziumInstance) -> None:
        """Store the instance; limits and callers stay as they were if its web endpoint cannot be parsed."""
        limit, oauth = self.rate_limit, self._served.oauth if self._served else None
        try:
            endpoint = effective.web_endpoint(instance)
            self._is_on = endpoint is not None
            if endpoint:
                limit, oauth = endpoint.rate_limit, endpoint.oauth
        except effective.InvalidSpec as error:
            log.warning("invalid web endpoint; previous limits and callers stay in force", reason=str(error))
        self._served = ServedInstance(instance, limit, self._skills, oauth)
        self.loaded.set()
        for callback in self.on_change:
            callback(instance)

    def update_skills(self, config_map: dict[str, Any] | None) -> None:
        """Store the skills of a ConfigMap, or none if it is gone; a ConfigMap that cannot be parsed changes nothing."""
        skills = installed_skills.of_config_map(config_map)
        if config_map is None or skills is not None:
            self._skills = tuple(skills or ())
            self._served = self._served and replace(self._served, skills=self._skills)


async def watch_instance(
    client: Client,
    namespace: str,
    name: str,
    cache: InstanceCache,
    unreadable: UnreadableObjects,
    *,
    on_event: Callable[[], object],
) -> None:
    """Keep the cached instance up to date, without end. An instance that cannot be read leaves the previous one in force.

    ``on_event`` is called for each event. Raises the failure of a watch that stays refused.
    """
    where = f"metadata.name={name}"
    async for event in watch(client, INSTANCES, namespace, whole, FAILING_SECONDS, fieldSelector=where):
        on_event()
        if isinstance(event, Change) and event.deleted:
            continue
        for item in event.items if isinstance(event, Snapshot) else [event.object]:
            with unreadable.skipping(INSTANCES.kind, item):
                cache.update(SympoziumInstance.model_validate(item))


async def watch_skills(
    client: Client,
    namespace: str,
    name: str,
    cache: InstanceCache,
    unreadable: UnreadableObjects,
    *,
    on_event: Callable[[], object],
) -> None:
    """Keep the cached skills up to date, without end; ``on_event`` is called for each event.

    Raises the failure of a watch that stays refused.
    """
    where = f"metadata.name={names.installed_skills(name)}"
    async for event in watch(client, CONFIG_MAPS, namespace, whole, FAILING_SECONDS, fieldSelector=where):
        on_event()
        current = event.items if isinstance(event, Snapshot) else [event.object] * (not event.deleted)
        item = next(iter(current), None)
        with unreadable.skipping(CONFIG_MAPS.kind, item or {}):
            cache.update_skills(item)
