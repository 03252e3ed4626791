"""Events for people (``kubectl describe``): what went wrong, never what went well, and never content."""

import secrets
from typing import Any

import structlog

from sympozium_api.base import Resource
from sympozium_api.client import ApiError, ApiUnavailable, Client
from sympozium_api.client.resources import EVENTS
from sympozium_api.clock import Clock, timestamp
from sympozium_api.names import FIELD_MANAGER

log = structlog.get_logger()


class Events:
    """Writes Warning events. One that cannot be written is only logged: it must not hold up the work."""

    def __init__(self, client: Client, clock: Clock) -> None:
        self._client = client
        self._clock = clock

    async def warn(self, about: Resource, reason: str, message: str) -> None:
        """Tell of a failure; ``reason`` is one word in CamelCase."""
        namespace, name = about.key
        try:
            await self._client.create(EVENTS, namespace, self._event(about, reason, message))
        except (ApiError, ApiUnavailable) as error:
            log.warning("event not written", namespace=namespace, name=name, reason=reason, error=str(error))

    def _event(self, about: Resource, reason: str, message: str) -> dict[str, Any]:
        namespace, name = about.key
        now = timestamp(self._clock.now())
        return {
            "apiVersion": EVENTS.api_version,
            "kind": EVENTS.kind,
            "metadata": {"name": f"{name}.{secrets.token_hex(8)}", "namespace": namespace},
            "involvedObject": {
                "apiVersion": about.api_version,
                "kind": about.kind,
                "namespace": namespace,
                "name": name,
                "uid": about.metadata.uid,
            },
            "type": "Warning",
            "reason": reason,
            "message": message[:1024],
            "source": {"component": FIELD_MANAGER},
            "reportingComponent": FIELD_MANAGER,
            "firstTimestamp": now,
            "lastTimestamp": now,
            "count": 1,
        }
