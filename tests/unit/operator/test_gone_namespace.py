"""A served namespace that was deleted, with the operator's RoleBinding in it, stops nothing in the other namespaces."""

from collections.abc import Callable
from typing import Any

import pytest
from tests.fakes.kubernetes import FakeKubernetes, api_error
from tests.unit.operator.objects import NAMESPACE, SYSTEM, instance_object, pack_object, run_object, secret_object
from tests.unit.operator.operator_leader import Leader
from tests.unit.operator.operator_world import operator_settings

from sympozium_api.resources import DEPLOYMENTS, RUNS, ResourceType
from sympozium_operator.__main__ import _crds_installed
from sympozium_operator.result import Key

Object = dict[str, Any]
GONE = "team-b"


def close(cluster: FakeKubernetes, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every list in the namespace GONE is forbidden."""
    collection: Callable[..., Any] = cluster.collection

    async def refusing(kind: ResourceType, namespace: str | None, *args: Any, **named: Any) -> Any:
        if namespace == GONE:
            raise api_error(403, "Forbidden", f'cannot list {kind.plural} in the namespace "{GONE}"')
        return await collection(kind, namespace, *args, **named)

    monkeypatch.setattr(cluster, "collection", refusing)


def leader_of(*objects: Object) -> Leader:
    """A leader of an installation in NAMESPACE and GONE; GONE comes first, so that it would hold up the other one."""
    return Leader(
        pack_object(),
        secret_object("model-alice", "OPENAI_API_KEY"),
        instance_object(
            authRefs=[{"provider": "openai", "secret": "model-alice"}], webEndpoint={"enabled": True, "replicas": 1}
        ),
        *objects,
        SYMPOZIUM_WATCH_NAMESPACES=f"{GONE},{NAMESPACE}",
        SYMPOZIUM_RUN_RETENTION="2m",
        SYMPOZIUM_SHORTEST_RETENTION="1m",
        SYMPOZIUM_CONSOLE_TOKEN_SECRET="console-token",
    )


async def test_a_new_leader_serves_the_other_namespaces(monkeypatch: pytest.MonkeyPatch) -> None:
    leader = leader_of()
    close(leader.cluster, monkeypatch)
    with leader.leading():
        await leader.time.run(60)
    assert leader.cluster.names(DEPLOYMENTS) == ["alice-web-endpoint-server"]
    assert (leader.unreadable("SympoziumInstance") or 0) >= 1


async def test_runs_of_the_other_namespaces_are_resynced_and_pruned(monkeypatch: pytest.MonkeyPatch) -> None:
    leader = leader_of()
    with leader.leading():
        await leader.time.run(60)
        close(leader.cluster, monkeypatch)
        ended = {"phase": "Succeeded", "completedAt": leader.time.now().strftime("%Y-%m-%dT%H:%M:%SZ")}
        leader.cluster.put(run_object("ended", created=leader.time.seconds, status=ended))
        leader.cluster.put(run_object("missed", created=leader.time.seconds))
        await leader.time.run(120)
        assert "status" in leader.cluster.object(RUNS, "missed", NAMESPACE)
        await leader.time.run(600)
    assert "ended" not in leader.cluster.names(RUNS)


async def test_a_skill_pack_of_the_operator_still_wakes_the_other_instances(monkeypatch: pytest.MonkeyPatch) -> None:
    leader = leader_of()
    close(leader.cluster, monkeypatch)
    result = await leader.operator.dispatcher.skill_packs.reconcile(Key("skillpack", SYSTEM, "web-endpoint"))
    assert [key.name for key in result.spread] == ["alice"]


async def test_a_new_process_asks_its_own_namespace_for_the_crds(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = operator_settings(SYMPOZIUM_WATCH_NAMESPACES=f"{GONE},{SYSTEM}")
    cluster = FakeKubernetes()
    close(cluster, monkeypatch)
    await _crds_installed(cluster, settings)
