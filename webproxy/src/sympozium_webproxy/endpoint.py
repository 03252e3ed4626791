"""The instance that this web-proxy serves, watched, so that changed limits and models hold without a restart."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

import structlog

from sympozium_api import effective
from sympozium_api.client import Client, Snapshot, watch
from sympozium_api.client.resources import INSTANCES
from sympozium_api.instance import RateLimit, SympoziumInstance
from sympozium_api.skills import InstalledSkill
from sympozium_webproxy.protocol.openai import errors

log = structlog.get_logger()


@dataclass(frozen=True)
class Serving:
    """What a request is served with."""

    instance: SympoziumInstance
    rate_limit: RateLimit
    skills: tuple[InstalledSkill, ...] = ()


class Endpoint:
    """The instance as it is now, and the last of its web endpoints that could be read."""

    def __init__(self, told: Callable[[SympoziumInstance], None] = lambda _: None) -> None:
        """``told``: who else is told of the instance whenever it changes."""
        self._told = told
        self._serving: Serving | None = None
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

    def serving(self) -> Serving:
        """The instance to serve; raises OpenAIError 503 where it cannot be."""
        if self._serving is None:
            raise errors.unavailable("The instance of this endpoint is not known yet.", code="instance_unknown")
        if not self._is_on:
            raise errors.unavailable("The instance's web endpoint was switched off.", code="web_endpoint_off")
        for condition in self._serving.instance.status.conditions:
            if condition.type == "ModelReady" and condition.status == "False":
                raise errors.unavailable(condition.message, code="model_not_ready", retry_after=10)
        return self._serving

    def observe(self, instance: SympoziumInstance) -> None:
        """Take note of the instance; limits that cannot be read leave those that were."""
        limit = self.rate_limit
        try:
            asked = effective.web_endpoint(instance)
            self._is_on = asked is not None
            if asked:
                limit = asked.rate_limit
        except effective.InvalidSpec as error:
            log.warning("instance has an invalid web endpoint; limits stay as they were", reason=str(error))
        self._serving = Serving(instance, limit)
        self._told(instance)
        self.read.set()


async def watch_instance(client: Client, namespace: str, name: str, endpoint: Endpoint) -> None:
    """Keep an endpoint up to date, without end."""
    async for event in watch(client, INSTANCES, namespace, fieldSelector=f"metadata.name={name}"):
        if isinstance(event, Snapshot):
            for item in event.items:
                endpoint.observe(SympoziumInstance.model_validate(item))
        elif not event.deleted:
            endpoint.observe(SympoziumInstance.model_validate(event.object))
