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
from sympozium_webproxy.protocol.openai import errors

log = structlog.get_logger()


@dataclass(frozen=True)
class Serving:
    """What a request is served with."""

    instance: SympoziumInstance
    rate_limit: RateLimit
    skills: tuple[InstalledSkill, ...] = ()
    """What its agents know beside the system prompt."""
    oauth: OAuth | None = None
    """The authorization server whose access tokens are accepted."""


class Endpoint:
    """The instance as it is now, and the last of its web endpoints that could be read."""

    def __init__(self, told: Callable[[SympoziumInstance], None] = lambda _: None) -> None:
        """``told``: who else is told of the instance whenever it changes."""
        self._told = told
        self._serving: Serving | None = None
        self._skills: tuple[InstalledSkill, ...] = ()
        self._is_on = True
        self.read = asyncio.Event()
        """Set once the instance has been read."""

    @property
    def known(self) -> bool:
        """Whether the instance has been read."""
        return self.read.is_set()

    @property
    def rate_limit(self) -> RateLimit:
        """The limit of each API key; the default one until the instance has been read."""
        return self._serving.rate_limit if self._serving else RateLimit()

    @property
    def instance(self) -> SympoziumInstance | None:
        """The instance, whether it can be served or not; None until it has been read."""
        return self._serving.instance if self._serving else None

    def oauth(self) -> OAuth | None:
        """The authorization server whose access tokens are accepted; raises OpenAIError 503 until the instance has been read."""
        return self._read().oauth

    def serving(self) -> Serving:
        """The instance to serve; raises OpenAIError 503 where it cannot be."""
        serving = self._read()
        if not self._is_on:
            raise errors.unavailable("The instance's web endpoint was switched off.", code="web_endpoint_off")
        for condition in serving.instance.status.conditions:
            if condition.type == "ModelReady" and condition.status == "False":
                raise errors.unavailable(condition.message, code="model_not_ready", retry_after=10)
        return serving

    def _read(self) -> Serving:
        if self._serving is None:
            raise errors.unavailable("The instance of this endpoint is not known yet.", code="instance_unknown")
        return self._serving

    def observe(self, instance: SympoziumInstance) -> None:
        """Take note of the instance; what of its web endpoint cannot be read leaves what was."""
        limit, oauth = self.rate_limit, self._serving.oauth if self._serving else None
        try:
            asked = effective.web_endpoint(instance)
            self._is_on = asked is not None
            if asked:
                limit, oauth = asked.rate_limit, asked.oauth
        except effective.InvalidSpec as error:
            log.warning("instance has an invalid web endpoint; limits and callers stay as they were", reason=str(error))
        self._serving = Serving(instance, limit, self._skills, oauth)
        self._told(instance)
        self.read.set()

    def observe_skills(self, config_map: dict[str, Any] | None) -> None:
        """Take note of the ConfigMap with the instance's skills, or that there is none; one that cannot be read changes nothing."""
        found = installed_skills.of_config_map(config_map)
        if config_map is None or found is not None:
            self._skills = tuple(found or ())
            self._serving = self._serving and replace(self._serving, skills=self._skills)


async def watch_instance(client: Client, namespace: str, name: str, endpoint: Endpoint) -> None:
    """Keep an endpoint up to date, without end."""
    async for event in watch(client, INSTANCES, namespace, fieldSelector=f"metadata.name={name}"):
        if isinstance(event, Snapshot):
            for item in event.items:
                endpoint.observe(SympoziumInstance.model_validate(item))
        elif not event.deleted:
            endpoint.observe(SympoziumInstance.model_validate(event.object))


async def watch_skills(client: Client, namespace: str, name: str, endpoint: Endpoint) -> None:
    """Keep the skills of an endpoint's instance up to date, without end."""
    where = f"metadata.name={names.installed_skills(name)}"
    async for event in watch(client, CONFIG_MAPS, namespace, fieldSelector=where):
        if isinstance(event, Snapshot):
            endpoint.observe_skills(next(iter(event.items), None))
        else:
            endpoint.observe_skills(None if event.deleted else event.object)
