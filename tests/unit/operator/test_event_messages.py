"""Events of an instance and of a run: each change once, repetitions counted, successes not at all."""

from typing import Any

import pytest
from tests.unit.operator.objects import (
    MCP_SERVERS,
    NAMESPACE,
    WEB_ENDPOINT,
    instance_object,
    pack_object,
    run_object,
    secret_object,
)
from tests.unit.operator.operator_world import World

from sympozium_api import agent_protocol, agent_records
from sympozium_api.client import ApiUnavailable
from sympozium_api.resources import DEPLOYMENTS, EVENTS, INSTANCES, SECRETS

SERVER = "alice-web-endpoint-server"
URL = f"http://{SERVER}.{NAMESPACE}.svc:8080"


def deployment(world: World, *, ready: int) -> None:
    """The Deployment controller says how many of two replicas are as they should be."""
    body = world.cluster.object(DEPLOYMENTS, SERVER, NAMESPACE)
    wanted = body["spec"]["replicas"]
    counts = {"replicas": wanted, "updatedReplicas": ready, "availableReplicas": wanted}
    status = {"observedGeneration": 99, "conditions": [{"type": "Available", "status": "True"}]}
    world.cluster.put(body | {"status": counts | status})


async def looks(world: World) -> None:
    for _ in range(3):
        await world.settle("alice", "instance")


def edit(world: World, **spec: Any) -> None:
    body = world.cluster.object(INSTANCES, "alice", NAMESPACE)
    world.cluster.put(body | {"spec": body["spec"] | spec})


async def test_the_story_of_a_web_endpoint() -> None:
    world = World(instance_object(**WEB_ENDPOINT, webEndpoint={"replicas": 2}), pack_object())
    await looks(world)
    deployment(world, ready=2)
    await looks(world)
    deployment(world, ready=1)
    await looks(world)
    deployment(world, ready=2)
    await looks(world)
    edit(world, skills=[])
    await looks(world)
    assert world.events() == [
        ("Normal", "Accepted", "The spec was accepted."),
        ("Normal", "ApiKeyGenerated", "A new API key was generated in the Secret alice-web-endpoint-web-api-key."),
        ("Normal", "Serving", f"The web endpoint of alice is serving at {URL}."),
        ("Normal", "ReplicasReady", f"All replicas (2) of {SERVER} are up to date and available."),
        ("Normal", "WebEndpointRemoved", "The web endpoint was disabled; its objects are being removed."),
    ]


async def test_what_happens_again_is_counted() -> None:
    world = World(
        instance_object(authRefs=[{"provider": "openai", "secret": "keys"}]), secret_object("keys", "OPENAI_API_KEY")
    )
    for _ in range(3):
        await looks(world)
        world.cluster.remove(SECRETS, "keys", NAMESPACE)
        await looks(world)
        world.clock.advance(5)
        world.cluster.put(secret_object("keys", "OPENAI_API_KEY"))
    events = {body["reason"]: body for (kind, _, _), body in world.cluster.objects.items() if kind == EVENTS.plural}
    assert set(events) == {"Accepted", "SecretNotFound", "SecretFound"}
    assert events["SecretNotFound"]["count"] == 3
    assert events["SecretNotFound"]["lastTimestamp"] > events["SecretNotFound"]["firstTimestamp"]


async def test_an_event_that_the_api_server_has_forgotten_is_written_anew() -> None:
    world = World(instance_object(mcpServers=MCP_SERVERS))
    await looks(world)
    for name in world.cluster.names(EVENTS):
        world.cluster.remove(EVENTS, name, NAMESPACE)
    for servers in (None, MCP_SERVERS):
        edit(world, mcpServers=servers)
        await looks(world)
    assert [reason for _, reason, _ in world.events()] == ["Accepted", "InvalidSpec"]


async def test_an_event_that_cannot_be_counted_holds_nothing_up() -> None:
    world = World(instance_object(mcpServers=MCP_SERVERS))
    await looks(world)
    world.cluster.refuse("patch", EVENTS, ApiUnavailable("away"))
    for servers in (None, MCP_SERVERS):
        edit(world, mcpServers=servers)
        await looks(world)
    assert world.instance_status()["phase"] == "Error"


@pytest.fixture
def world() -> World:
    return World(instance_object(), run_object())


async def told_of(world: World, end: agent_records.End) -> list[tuple[str, str, str]]:
    await world.reconcile()
    world.end("q1", end)
    for _ in range(3):
        await world.reconcile()
    return world.events()


async def test_a_run_that_succeeds_is_no_news(world: World) -> None:
    await world.reconcile()
    world.answer()
    await world.reconcile()
    assert world.events() == []


async def test_a_failure_that_the_agent_reported_is_reported_once_without_the_models_words(world: World) -> None:
    told = await told_of(world, agent_protocol.error("model_error", "no, not this prompt", 400))
    assert told == [("Warning", "RunFailed", "model_error (400); status.error has the message")]


async def test_other_failures_say_why(world: World) -> None:
    told = await told_of(world, agent_protocol.error("timeout", "The run did not end within 5 s.", 504))
    assert told == [("Warning", "RunFailed", "timeout: The run did not end within 5 s.")]


async def test_a_cancelled_run_says_so(world: World) -> None:
    [told] = await told_of(world, agent_protocol.error("cancelled", "The run was cancelled.", 499))
    assert told[:2] == ("Normal", "RunCancelled")


async def test_how_long_runs_wait_start_and_take_is_measured(world: World) -> None:
    def sum_of(name: str, **labels: str) -> float | None:
        return world.metrics.registry.get_sample_value(f"sympozium_operator_{name}_seconds_sum", labels)

    world.clock.advance(4)
    await world.reconcile()
    world.clock.advance(2)
    world.cluster.put(world.run() | {"status": {"startedAt": "2026-01-01T00:00:07Z"}})
    world.clock.advance(3)
    world.answer()
    world.cluster.put(world.run() | {"status": world.status() | {"startedAt": "2026-01-01T00:00:07Z"}})
    await world.reconcile()
    assert world.metrics.registry.get_sample_value("sympozium_operator_runs_admitted_total") == 1
    assert sum_of("run_queue_duration") == 4
    assert sum_of("run_start_duration") == 3
    assert sum_of("run_duration", phase="Succeeded") == 9


async def test_an_error_that_a_pod_made_up_is_no_label(world: World) -> None:
    await told_of(world, agent_protocol.error("x" * 60, "a pod may say anything", 500))
    assert world.ended("Failed", "other") == 1
