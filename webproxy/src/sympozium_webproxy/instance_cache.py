"""The instance that this web-proxy serves, and its skills: watched, so that what changes holds without a restart."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import structlog

from sympozium_api import effective, installed_skills, names
from sympozium_api.client import Client, Snapshot, watch
from sympozium_api.installed_skills import InstalledSkill
from sympozium_api.instance import OAuth, RateLimit, SympoziumInstance
from sympozium_api.resources import CONFIG_MAPS, INSTANCES
from sympozium_http.refusal import Refusal

log = structlog.get_logger()


@dataclass(frozen=True)
class ServedInstance:
    """What a request is served with."""

    instance: SympoziumInstance
    rate_limit: RateLimit
    skills: tuple[InstalledSkill, ...] = ()
    """What its agents know beside the system prompt."""
    oauth: OAuth | None = None
    """The authorization server whose access tokens are accepted."""


class InstanceCache:
    """The instance as it is now, and the last of its web endpoints that could be read."""

    def __init__(self, told: Callable[[SympoziumInstance], None] = lambda _: None) -> None:
        """``told``: who else is told of the instance whenever it changes."""
        self._told = told
        self._served: ServedInstance | None = None
        self._skills: tuple[InstalledSkill, ...] = ()
        self._is_on = True
        self.loaded = asyncio.Event()
        """Set once the instance has been read."""

    @property
    def known(self) -> bool:
        """Whether the instance has been read."""
        return self.loaded.is_set()

    @property
    def rate_limit(self) -> RateLimit:
        """The limit of each API key; the default one until the instance has been read."""
        return self._served.rate_limit if self._served else RateLimit()

    @property
    def instance(self) -> SympoziumInstance | None:
        """The instance, whether it can be served or not; None until it has been read."""
        return self._served.instance if self._served else None

    def oauth(self) -> OAuth | None:
        """The authorization server whose access tokens are accepted; raises Refusal 503 until the instance has been read."""
        return self._read().oauth

    def served(self) -> ServedInstance:
        """The instance to serve; raises Refusal 503 where it cannot be."""
        served = self._read()
        if not self._is_on:
            raise Refusal(503, "web_endpoint_off", "The instance's web endpoint was switched off.", retry_after=1)
        for condition in served.instance.status.conditions:
            if condition.type == "ModelReady" and condition.status == "False":
                raise Refusal(503, "model_not_ready", condition.message, retry_after=10)
        return served

    def _read(self) -> ServedInstance:
        if self._served is None:
            raise Refusal(503, "instance_unknown", "The instance of this endpoint is not known yet.", retry_after=1)
        return self._served

    def observe(self, instance: SympoziumInstance) -> None:
        """Take note of the instance; what of its web endpoint cannot be read leaves what was."""
        limit, oauth = self.rate_limit, self._served.oauth if self._served else None
        try:
            asked = effective.web_endpoint(instance)
            self._is_on = asked is not None
            if asked:
                limit, oauth = asked.rate_limit, asked.oauth
        except effective.InvalidSpec as error:
            log.warning("instance has an invalid web endpoint; limits and callers stay as they were", reason=str(error))
        self._served = ServedInstance(instance, limit, self._skills, oauth)
        self._told(instance)
        self.loaded.set()

    def observe_skills(self, config_map: dict[str, Any] | None) -> None:
        """Take note of the ConfigMap with the instance's skills, or that there is none; one that cannot be read changes nothing."""
        found = installed_skills.of_config_map(config_map)
        if config_map is None or found is not None:
            self._skills = tuple(found or ())
            self._served = self._served and replace(self._served, skills=self._skills)


async def watch_instance(client: Client, namespace: str, name: str, cache: InstanceCache) -> None:
    """Keep an endpoint up to date, without end."""
    async for event in watch(client, INSTANCES, namespace, fieldSelector=f"metadata.name={name}"):
        if isinstance(event, Snapshot):
            for item in event.items:
                cache.observe(SympoziumInstance.model_validate(item))
        elif not event.deleted:
            cache.observe(SympoziumInstance.model_validate(event.object))


async def watch_skills(client: Client, namespace: str, name: str, cache: InstanceCache) -> None:
    """Keep the skills of an endpoint's instance up to date, without end."""
    where = f"metadata.name={names.installed_skills(name)}"
    async for event in watch(client, CONFIG_MAPS, namespace, fieldSelector=where):
        if isinstance(event, Snapshot):
            cache.observe_skills(next(iter(event.items), None))
        else:
            cache.observe_skills(None if event.deleted else event.object)
