"""Deployment and Service of an instance's web endpoint, as the operator makes them."""

from typing import Any

from tests.unit.operator.objects import Object, instance, pack, server_run

from sympozium_api.instance import SympoziumInstance
from sympozium_operator.desired import web_proxy

_DEFAULTS: dict[str, Any] = {
    "replicas": 1,
    "keys_secret": "keys",
    "keys_version": "7",
    "longest_run": 1200,
    "key_retention": 86400,
    "pull_policy": "Always",
    "account": "uid-of-the-account",
    "session_key": "uid-of-the-session-key",
}


def web_proxy_objects(
    of: SympoziumInstance | None = None, *, sidecar: Object | None = None, **changes: Any
) -> list[Object]:
    """Return them for an instance, with fields of its pack's sidecar, and with arguments of the builder that are not the usual ones."""
    container = pack(**(sidecar or {})).spec.sidecar
    assert container is not None
    return web_proxy.build(server_run(), of or instance(), container, **(_DEFAULTS | changes))
