"""Keys that a SympoziumConfig, a Gateway or a route brings into the work queue."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from tests.fakes.kubernetes import FakeKubernetes
from tests.unit.operator.objects import NAMESPACE, SYSTEM, config_object, metadata

from sympozium_api import names
from sympozium_api.resources import CONFIGS, GATEWAYS, HTTP_ROUTES
from sympozium_operator.result import Key
from sympozium_operator.watches import gateway_api

CONFIG = Key("config", SYSTEM, "default")
ALICE = Key("instance", NAMESPACE, "alice")


def gateway() -> dict[str, Any]:
    return {"kind": "Gateway", "metadata": metadata("sympozium", namespace=SYSTEM)}


def route(**more: Any) -> dict[str, Any]:
    labels = names.labels("web-proxy", instance="alice", run="alice-web-endpoint")
    return {"kind": "HTTPRoute", "metadata": metadata("alice-web-endpoint-server", labels=labels) | more}


class Watched:
    def __init__(self, cluster: FakeKubernetes, scopes: tuple[str | None, ...]) -> None:
        self.keys: asyncio.Queue[Key] = asyncio.Queue()
        self._task = asyncio.ensure_future(
            gateway_api.follow(cluster, self.keys.put_nowait, SYSTEM, scopes, lambda _: None)
        )

    async def next(self) -> Key:
        return await asyncio.wait_for(self.keys.get(), timeout=5)

    async def settled(self) -> None:
        """All watches are open, and what there was has been told."""
        for _ in range(20):
            await asyncio.sleep(0)
        while not self.keys.empty():
            self.keys.get_nowait()

    def close(self) -> None:
        self._task.cancel()


@contextmanager
def watching(cluster: FakeKubernetes, scopes: tuple[str | None, ...] = (None,)) -> Iterator[Watched]:
    found = Watched(cluster, scopes)
    try:
        yield found
    finally:
        found.close()


@pytest.fixture
def cluster() -> FakeKubernetes:
    return FakeKubernetes()


async def test_what_is_there_in_the_beginning_is_reconciled(cluster: FakeKubernetes) -> None:
    cluster.put(config_object())
    cluster.put(route())
    with watching(cluster) as watched:
        assert {await watched.next(), await watched.next()} == {CONFIG, ALICE}


@pytest.mark.parametrize(
    ("body", "kind", "key"),
    [(config_object(), CONFIGS, CONFIG), (gateway(), GATEWAYS, CONFIG), (route(), HTTP_ROUTES, ALICE)],
)
async def test_what_comes_and_goes_is_reconciled(cluster: FakeKubernetes, body: Any, kind: Any, key: Key) -> None:
    with watching(cluster) as watched:
        await watched.settled()
        cluster.put(body)
        assert await watched.next() == key
        cluster.remove(kind, body["metadata"]["name"], body["metadata"]["namespace"])
        assert await watched.next() == key


async def test_a_route_that_lost_our_label_is_reconciled_once_more(cluster: FakeKubernetes) -> None:
    cluster.put(route())
    with watching(cluster) as watched:
        await watched.settled()
        unlabelled = {"name": "alice-web-endpoint-server", "namespace": NAMESPACE, "labels": None}
        cluster.put({"kind": "HTTPRoute", "metadata": unlabelled})
        assert await watched.next() == ALICE


async def test_what_went_while_nobody_watched_is_reconciled(cluster: FakeKubernetes) -> None:
    cluster.put(route())
    with watching(cluster) as watched:
        await watched.settled()
        cluster.expire_watches()
        cluster.remove(HTTP_ROUTES, "alice-web-endpoint-server", NAMESPACE)
        assert await watched.next() == ALICE


async def test_a_kind_that_is_installed_later_is_watched_then(cluster: FakeKubernetes) -> None:
    cluster.absent |= {GATEWAYS, HTTP_ROUTES}
    with watching(cluster) as watched:
        await watched.settled()
        cluster.absent.clear()
        cluster.put(route())
        assert await watched.next() == ALICE


async def test_the_config_counts_where_its_namespace_is_not_served(cluster: FakeKubernetes) -> None:
    cluster.put(config_object())
    cluster.put(config_object("other", namespace="elsewhere"))
    with watching(cluster, (NAMESPACE,)) as watched:
        assert await watched.next() == CONFIG
        await watched.settled()
        assert watched.keys.empty()
