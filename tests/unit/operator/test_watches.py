"""Keys that a SympoziumConfig, a Gateway, a route or a child brings into the work queue."""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pytest
from structlog.testing import capture_logs
from tests.fakes.kubernetes import FakeKubernetes
from tests.fakes.unwatchable import UnwatchableKinds
from tests.unit.operator.objects import NAMESPACE, SYSTEM, config_object, metadata

from sympozium_api import names
from sympozium_api.resources import (
    AUTOSCALERS,
    CONFIG_MAPS,
    CONFIGS,
    DEPLOYMENTS,
    DISRUPTION_BUDGETS,
    GATEWAYS,
    HTTP_ROUTES,
    NETWORK_POLICIES,
    ROLE_BINDINGS,
    ROLES,
    SERVICE_ACCOUNTS,
    SERVICES,
    ResourceType,
)
from sympozium_operator.result import Key
from sympozium_operator.watches import children, gateway_api, watch_feed
from sympozium_operator.watches.watch_feed import WatchFeed

CONFIG = Key("config", SYSTEM, "default")
ALICE = Key("instance", NAMESPACE, "alice")
SERVER = Key("run", NAMESPACE, "alice-web-endpoint")


def gateway() -> dict[str, Any]:
    return {"kind": "Gateway", "metadata": metadata("sympozium", namespace=SYSTEM)}


def route(**more: Any) -> dict[str, Any]:
    labels = names.labels("web-proxy", instance="alice", run="alice-web-endpoint")
    return {"kind": "HTTPRoute", "metadata": metadata("alice-web-endpoint-server", labels=labels) | more}


class Watched:
    def __init__(
        self, cluster: FakeKubernetes, scopes: tuple[str | None, ...], count_failure: Callable[[str], None]
    ) -> None:
        self.keys: asyncio.Queue[Key] = asyncio.Queue()
        feed = WatchFeed(cluster, self, count_failure)
        watches = [*gateway_api.watches(feed, SYSTEM, scopes), *children.watches(feed, scopes)]
        self._tasks = [asyncio.ensure_future(watch) for watch in watches]

    def add(self, *keys: Key) -> None:
        for key in keys:
            self.keys.put_nowait(key)

    def add_spread(self, keys: Sequence[Key]) -> None:
        self.add(*keys)

    async def next(self) -> Key:
        return await asyncio.wait_for(self.keys.get(), timeout=60)

    async def settled(self) -> None:
        """All watches are open, and what there was has been told."""
        for _ in range(20):
            await asyncio.sleep(0)
        while not self.keys.empty():
            self.keys.get_nowait()

    def close(self) -> None:
        for task in self._tasks:
            task.cancel()


@contextmanager
def watching(
    cluster: FakeKubernetes,
    scopes: tuple[str | None, ...] = (None,),
    count_failure: Callable[[str], None] = lambda _: None,
) -> Iterator[Watched]:
    found = Watched(cluster, scopes, count_failure)
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


@pytest.mark.parametrize(
    ("kind", "name", "key"),
    [
        (DEPLOYMENTS, "alice-web-endpoint-server", SERVER),
        (SERVICES, "alice-web-endpoint-server", SERVER),
        (DISRUPTION_BUDGETS, "alice-web-endpoint-server", SERVER),
        (AUTOSCALERS, "alice-web-endpoint-server", SERVER),
        (ROLES, "alice-web-endpoint", SERVER),
        (ROLE_BINDINGS, "alice-web-endpoint", SERVER),
        (SERVICE_ACCOUNTS, "alice-web-endpoint", SERVER),
        (SERVICE_ACCOUNTS, "alice-agent", ALICE),
        (CONFIG_MAPS, "alice-installed-skills", ALICE),
        (NETWORK_POLICIES, "alice-agent", ALICE),
        (NETWORK_POLICIES, "alice-agent-own-model", ALICE),
        (NETWORK_POLICIES, "alice-web-endpoint-server", SERVER),
        (SERVICE_ACCOUNTS, "odd-agent-agent", Key("instance", NAMESPACE, "odd-agent")),
        (SERVICE_ACCOUNTS, "odd-agent-web-endpoint", Key("run", NAMESPACE, "odd-agent-web-endpoint")),
    ],
)
@pytest.mark.parametrize("labels", [{}, {names.LABEL_RUN: "another", names.LABEL_INSTANCE: "another"}])
async def test_a_child_is_known_by_its_name_whatever_its_labels_say(
    cluster: FakeKubernetes, kind: ResourceType, name: str, key: Key, labels: dict[str, str]
) -> None:
    ours = {names.MANAGED_BY: names.FIELD_MANAGER}
    with watching(cluster) as watched:
        await watched.settled()
        cluster.put({"kind": kind.kind, "metadata": metadata(name, labels=ours | labels)})
        assert await watched.next() == key
        cluster.remove(kind, name, NAMESPACE)
        assert await watched.next() == key


async def test_of_what_did_not_change_while_nobody_watched_nothing_is_reconciled(cluster: FakeKubernetes) -> None:
    cluster.put(route())
    bob = metadata("bob-web-endpoint-server", labels=names.labels("web-proxy", instance="bob", run="bob-web-endpoint"))
    cluster.put({"kind": "HTTPRoute", "metadata": bob})
    with watching(cluster) as watched:
        await watched.settled()
        cluster.expire_watches()
        cluster.remove(HTTP_ROUTES, "alice-web-endpoint-server", NAMESPACE)
        assert await watched.next() == ALICE
        await watched.settled()
        assert watched.keys.empty()


async def test_a_watch_that_stays_refused_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch_feed, "FAILING", 0.05)
    cluster, counted = UnwatchableKinds(), asyncio.Queue[str]()
    cluster.documents["/version"] = {}
    with watching(cluster, count_failure=counted.put_nowait):
        assert await asyncio.wait_for(counted.get(), timeout=60)


async def test_a_watch_of_a_namespace_that_is_gone_is_one_line_at_growing_distances(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, value in {"FAILING": 0.05, "RETRY": 100.0, "LONGEST_RETRY": 300.0}.items():
        monkeypatch.setattr(watch_feed, name, value)
    cluster, waits, sleep = UnwatchableKinds(), list[float](), asyncio.sleep
    cluster.documents["/version"] = {}

    async def passes(seconds: float) -> None:
        waits.extend([seconds] if seconds >= watch_feed.RETRY else [])
        await sleep(0)

    monkeypatch.setattr(asyncio, "sleep", passes)
    with capture_logs() as logs, watching(cluster):
        for _ in range(10_000):
            if len(set(waits)) >= 3:
                break
            await sleep(0.001)
    lines = [line for line in logs if line["event"] == "watch failed, retrying"]
    assert set(waits) == {100.0, 200.0, 300.0}
    assert not any(line.get("exc_info") for line in lines)
    assert {line["log_level"] for line in lines} == {"warning"}
    assert all("namespace" in line for line in lines)


@pytest.mark.parametrize("name", ["x", "x-server", "q1", "alice-web-endpoint-other"])
@pytest.mark.parametrize("kind", ["ConfigMap", "HTTPRoute"])
async def test_an_object_with_our_label_of_no_instance_brings_no_key(
    cluster: FakeKubernetes, kind: str, name: str
) -> None:
    with watching(cluster) as watched:
        await watched.settled()
        cluster.put({"kind": kind, "metadata": metadata(name, labels={names.MANAGED_BY: names.FIELD_MANAGER})})
        cluster.put(route())
        assert await watched.next() == ALICE
        assert watched.keys.empty()
