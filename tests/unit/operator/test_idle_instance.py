"""An idle instance costs two reads per 30 s (decision 0051), and whatever of it changes is seen all the same."""

from collections.abc import Callable
from importlib import import_module
from typing import Any

import pytest
from tests.unit.operator.objects import NAMESPACE, instance_object, pack_object, secret_object
from tests.unit.operator.operator_leader import Leader

from sympozium_api import names
from sympozium_api.resources import (
    AUTOSCALERS,
    CONFIG_MAPS,
    DEPLOYMENTS,
    DISRUPTION_BUDGETS,
    INSTANCES,
    NETWORK_POLICIES,
    ROLE_BINDINGS,
    ROLES,
    RUNS,
    SECRETS,
    SERVICE_ACCOUNTS,
    SERVICES,
    ResourceType,
)
from sympozium_operator.result import Key

Object = dict[str, Any]
RUN = "alice-web-endpoint"
SERVER = "alice-web-endpoint-server"
INTERVAL = 15 * 60
"""Seconds in which each instance is reconciled once without an event."""
STARTED = 20
"""Seconds in which a new leader has reconciled everything, and every Deployment its pods."""


def endpoint_objects(name: str) -> list[Object]:
    """An instance with all that it can have: web endpoint, model key, a model in the cluster, skills of a ConfigMap, two replicas."""
    head = {"apiVersion": "v1", "metadata": {"namespace": NAMESPACE}}
    return [
        secret_object(f"model-{name}", "OPENAI_API_KEY"),
        head
        | {"kind": "ConfigMap", "metadata": {"name": f"skills-{name}", "namespace": NAMESPACE}, "data": {"a": "b"}},
        head
        | {
            "kind": "Service",
            "metadata": {"name": f"llm-{name}", "namespace": NAMESPACE},
            "spec": {"selector": {"app": "llm"}, "ports": [{"port": 8080}]},
        },
        instance_object(
            name,
            model={"baseURL": f"http://llm-{name}:8080/v1"},
            authRefs=[{"provider": "openai", "secret": f"model-{name}"}],
            webEndpoint={
                "enabled": True,
                "replicas": 2,
                "autoscaling": {"maxReplicas": 4, "targetCPUUtilizationPercentage": 80},
            },
            skills=[{"configMapRef": f"skills-{name}"}],
        ),
    ]


def started(leader: Leader) -> None:
    """All replicas of all Deployments are up."""
    for name in leader.cluster.names(DEPLOYMENTS):
        body = leader.cluster.object(DEPLOYMENTS, name, NAMESPACE)
        counts = dict.fromkeys(("replicas", "updatedReplicas", "availableReplicas"), body["spec"]["replicas"])
        available = [{"type": "Available", "status": "True"}]
        leader.cluster.put(body | {"status": counts | {"observedGeneration": 99, "conditions": available}})


async def settled(leader: Leader) -> None:
    await leader.time.run(STARTED / 2)
    started(leader)
    await leader.time.run(STARTED / 2)


async def reads(*, instances: int) -> int:
    """The reads of a leader of idle instances in one interval, but those of decisions 0016 and 0028."""
    named = [f"i{number}" for number in range(instances)]
    leader = Leader(pack_object(), *(body for name in named for body in endpoint_objects(name)))
    with leader.leading():
        await settled(leader)
        await leader.time.run(INTERVAL)
        leader.cluster.reads.clear()
        await leader.time.run(INTERVAL)
    polled = [f"skills-{name}" for name in named] + [
        names.api_key_secret(names.web_endpoint_run(name)) for name in named
    ]
    return sum(name not in polled for _, _, name in leader.cluster.reads)


async def test_an_idle_instance_costs_at_most_two_reads_per_30_seconds() -> None:
    extra = await reads(instances=4) - await reads(instances=1)
    assert extra / 3 / (INTERVAL / 30) <= 2


@pytest.fixture
def leader(monkeypatch: pytest.MonkeyPatch) -> Leader:
    monkeypatch.setattr(import_module("sympozium_api.client.watch"), "_FIRST_PAUSE", 0)
    return Leader(pack_object(), *endpoint_objects("alice"))


CHILDREN = [
    (SERVICE_ACCOUNTS, RUN),
    (SERVICE_ACCOUNTS, "alice-agent"),
    (ROLES, RUN),
    (ROLE_BINDINGS, RUN),
    (DEPLOYMENTS, SERVER),
    (SERVICES, SERVER),
    (DISRUPTION_BUDGETS, SERVER),
    (AUTOSCALERS, SERVER),
    (NETWORK_POLICIES, SERVER),
    (NETWORK_POLICIES, "alice-agent"),
    (CONFIG_MAPS, "alice-installed-skills"),
]


def deleted(leader: Leader, kind: ResourceType, name: str) -> None:
    leader.cluster.remove(kind, name, NAMESPACE)


def unlabelled(leader: Leader, kind: ResourceType, name: str) -> None:
    body = leader.cluster.object(kind, name, NAMESPACE)
    leader.cluster.put(body | {"metadata": {"name": name, "namespace": NAMESPACE, "labels": {names.MANAGED_BY: None}}})


def deleted_unseen(leader: Leader, kind: ResourceType, name: str) -> None:
    leader.cluster.expire_watches()
    deleted(leader, kind, name)


def unlabelled_unseen(leader: Leader, kind: ResourceType, name: str) -> None:
    leader.cluster.expire_watches()
    unlabelled(leader, kind, name)


@pytest.mark.parametrize("drift", [deleted, unlabelled, deleted_unseen, unlabelled_unseen])
@pytest.mark.parametrize(("kind", "name"), CHILDREN)
async def test_a_child_comes_back_within_ten_seconds(
    leader: Leader, kind: ResourceType, name: str, drift: Callable[..., None]
) -> None:
    with leader.leading():
        await settled(leader)
        drift(leader, kind, name)
        await leader.time.run(10)
        labels = leader.cluster.object(kind, name, NAMESPACE)["metadata"]["labels"]
        assert labels[names.MANAGED_BY] == names.FIELD_MANAGER


@pytest.mark.parametrize(("name", "within"), [(f"{RUN}-web-api-key", 10), (f"{RUN}-session-key", 70)])
async def test_a_generated_secret_comes_back(leader: Leader, name: str, within: float) -> None:
    with leader.leading():
        await settled(leader)
        deleted(leader, SECRETS, name)
        await leader.time.run(within)
        assert leader.cluster.object(SECRETS, name, NAMESPACE)


async def test_pods_get_a_session_key_that_replaces_another(leader: Leader) -> None:
    def mounted() -> str:
        template = leader.cluster.object(DEPLOYMENTS, SERVER, NAMESPACE)["spec"]["template"]
        uid: str = template["metadata"]["annotations"][names.ANNOTATION_SESSION_KEY]
        return uid

    with leader.leading():
        await settled(leader)
        before = mounted()
        deleted(leader, SECRETS, f"{RUN}-session-key")
        await leader.time.run(70)
        uid = leader.cluster.object(SECRETS, f"{RUN}-session-key", NAMESPACE)["metadata"]["uid"]
        assert mounted() == uid != before


async def test_a_models_secret_that_is_gone_is_a_condition_within_two_minutes(leader: Leader) -> None:
    with leader.leading():
        await settled(leader)
        deleted(leader, SECRETS, "model-alice")
        await leader.time.run(130)
        conditions = leader.cluster.object(INSTANCES, "alice", NAMESPACE)["status"]["conditions"]
        assert {c["type"]: c["status"] for c in conditions}["ModelReady"] == "False"


async def test_a_models_service_with_other_pods_is_followed_within_two_minutes(leader: Leader) -> None:
    with leader.leading():
        await settled(leader)
        service = leader.cluster.object(SERVICES, "llm-alice", NAMESPACE)
        leader.cluster.put(service | {"spec": service["spec"] | {"selector": {"app": "other"}}})
        await leader.time.run(130)
        assert "other" in str(leader.cluster.object(NETWORK_POLICIES, "alice-agent", NAMESPACE)["spec"]["egress"])


async def test_a_server_run_whose_deletion_was_missed_comes_back_within_ten_seconds(leader: Leader) -> None:
    with leader.leading():
        await settled(leader)
        await leader.time.run(INTERVAL)
        deleted(leader, RUNS, RUN)  # nobody watches runs here, but Kubernetes deletes its children
        await leader.time.run(10)
        assert leader.cluster.object(RUNS, RUN, NAMESPACE)
        assert leader.cluster.names(DEPLOYMENTS) == [SERVER]


async def test_a_gone_run_without_a_slot_wakes_no_other_run(leader: Leader) -> None:
    queued = leader.operator.fair_queue
    queued.enqueue((NAMESPACE, "q1", "uid"), (NAMESPACE, "alice"), "2026-01-01T00:00:00Z")
    assert (await leader.operator.dispatcher(Key("run", NAMESPACE, "x"))).enqueue == ()
    queued.enqueue((NAMESPACE, "q2", "uid2"), (NAMESPACE, "alice"), "2026-01-01T00:00:01Z")
    assert [key.name for key in (await leader.operator.dispatcher(Key("run", NAMESPACE, "q1"))).enqueue] == ["q2"]
