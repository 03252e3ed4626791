"""Secrets with a model's key: whoever may create an AgentRun can send no key of others to an address of theirs."""

from typing import Any

import pytest
from tests.unit.operator.objects import (
    NAMESPACE,
    instance,
    instance_object,
    pack_object,
    run,
    run_object,
    secret_object,
)
from tests.unit.operator.operator_world import World

from sympozium_api import names
from sympozium_api.resources import DEPLOYMENTS, INSTANCES, JOBS
from sympozium_operator.policy import model_secret

OWN: dict[str, Any] = {"authRefs": [{"provider": "openai", "secret": "provider-key"}]}
ELSEWHERE = {"baseURL": "http://attacker.example/v1"}
REFUSED = "spec.model.authSecretRef: the Secret "


def keyed(name: str, **labels: str) -> dict[str, Any]:
    found = secret_object(name, "api-key")
    found["metadata"]["labels"] = labels
    return found


LABELLED = {names.LABEL_MODEL_KEY: "true"}


@pytest.mark.parametrize(
    ("secret", "labels", "model", "refused"),
    [
        pytest.param("provider-key", {}, {}, None, id="the instance's key, to its address"),
        pytest.param("provider-key", {}, ELSEWHERE, "provider-key has no label", id="the instance's key, elsewhere"),
        pytest.param("shared", LABELLED, {}, None, id="a labelled Secret"),
        pytest.param("shared", LABELLED, ELSEWHERE, None, id="a labelled Secret, elsewhere"),
        pytest.param("database", {}, {}, "database is not among", id="any other Secret"),
        pytest.param("database", {}, ELSEWHERE, "database has no label", id="any other Secret, elsewhere"),
        pytest.param("shared", {names.LABEL_MODEL_KEY: "false"}, {}, "shared is not among", id="another value"),
        pytest.param(
            "bob-web-endpoint-web-api-key", LABELLED, {}, "bob-web-endpoint-web-api-key holds", id="generated API keys"
        ),
        pytest.param("callers", LABELLED, {}, "callers holds API keys", id="API keys of the instance"),
    ],
)
async def test_a_run_has_only_a_secret_that_it_may_have(
    secret: str, labels: dict[str, str], model: dict[str, str], refused: str | None
) -> None:
    alice = instance_object(**OWN, webEndpoint={"authSecretRef": "callers"})
    world = World(alice, run_object(model={"authSecretRef": secret} | model), keyed(secret, **labels))
    await world.reconcile()
    if refused is None:
        assert world.job()
        return
    error = world.status()["error"]
    assert (error["type"], error["httpStatus"]) == ("model_secret_refused", 403)
    assert error["message"].startswith(REFUSED + refused)
    assert world.cluster.names(JOBS) == []


async def test_a_run_with_an_address_of_its_own_is_given_no_key() -> None:
    world = World(instance_object(**OWN), run_object(model=ELSEWHERE), keyed("provider-key"))
    await world.reconcile()
    assert "provider-key" not in str(world.job())


async def test_a_run_with_an_address_of_its_own_gets_no_idle_pod_whose_key_is_the_instances() -> None:
    job = "alice-warm-01234567-012345"
    claim = {"jobName": job, "podName": f"{job}-abcde"}
    world = World(instance_object(**OWN), run_object(model=ELSEWHERE, claim=claim), keyed("provider-key"))
    await world.reconcile()
    assert world.status()["error"]["message"].startswith("spec.claim: an idle pod cannot be used")
    assert world.cluster.objects.get((JOBS.plural, NAMESPACE, job)) is None


@pytest.mark.parametrize(
    "spec",
    [
        {"webEndpoint": {"authSecretRef": "provider-key"}},
        {"skills": [{"skillPackRef": "web-endpoint", "params": {"auth_secret_ref": "provider-key"}}]},
    ],
)
def test_an_instance_sends_no_api_keys_of_callers_to_its_model(spec: dict[str, Any]) -> None:
    update = model_secret.refused_refs(instance(**OWN, **spec), ())
    assert update is not None
    assert (update.reason, update.message[:18]) == ("SecretNotAllowed", "spec.authRefs[0]: ")


KEYS_OF_BOB: list[dict[str, Any]] = [
    {"webEndpoint": {"enabled": True, "authSecretRef": "bobs"}},
    {"skills": [{"skillPackRef": "web-endpoint", "params": {"auth_secret_ref": "bobs"}}]},
]
THEFT: dict[str, Any] = {"authRefs": [{"provider": "openai", "secret": "bobs"}]}


def bob(**spec: Any) -> dict[str, Any]:
    return instance_object(name="bob", **spec)


@pytest.mark.parametrize("keys", KEYS_OF_BOB)
@pytest.mark.parametrize("labels", [{}, LABELLED])
async def test_no_instance_has_the_api_keys_of_another_ones_callers(
    keys: dict[str, Any], labels: dict[str, str]
) -> None:
    world = World(instance_object(**THEFT), bob(**keys), run_object(), keyed("bobs", **labels))
    await world.reconcile("alice", "instance")
    [ready] = [c for c in world.instance_status()["conditions"] if c["type"] == "ModelReady"]
    assert (ready["status"], ready["reason"]) == ("False", "SecretNotAllowed")
    assert ready["message"].startswith("spec.authRefs[0]: the Secret bobs holds API keys of callers")
    await world.reconcile()
    assert world.status()["error"]["type"] == "model_secret_refused"
    assert world.cluster.names(JOBS) == []


async def test_a_second_provider_of_an_instance_is_looked_at_too() -> None:
    refs = [{"provider": "openai", "secret": "provider-key"}, {"provider": "other", "secret": "bobs"}]
    world = World(instance_object(authRefs=refs), bob(**KEYS_OF_BOB[0]), keyed("provider-key"), keyed("bobs"))
    world.ask("q1", model={"provider": "other"})
    await world.reconcile("alice", "instance")
    assert "spec.authRefs[1]: the Secret bobs" in str(world.instance_status()["conditions"])
    await world.reconcile()
    assert world.status()["error"]["type"] == "model_secret_refused"


async def test_a_run_may_not_name_the_api_keys_of_another_instances_callers() -> None:
    world = World(instance_object(), bob(**KEYS_OF_BOB[0]), keyed("bobs", **LABELLED))
    world.ask("q1", model={"authSecretRef": "bobs", **ELSEWHERE})
    await world.reconcile()
    assert world.status()["error"]["message"].startswith(REFUSED + "bobs holds API keys")


async def test_a_secret_is_a_models_again_when_no_instance_has_it_for_its_callers() -> None:
    world = World(instance_object(**THEFT), bob(**KEYS_OF_BOB[0]), run_object(), keyed("bobs"))
    await world.reconcile("alice", "instance")
    world.cluster.remove(INSTANCES, "bob", NAMESPACE)
    await world.reconcile("bob", "instance")
    await world.reconcile("alice", "instance")
    assert "SecretNotAllowed" not in str(world.instance_status()["conditions"])
    await world.reconcile()
    assert world.job()


async def test_nothing_is_remembered_of_a_namespace_without_instances() -> None:
    world = World(instance_object(**THEFT), bob(**KEYS_OF_BOB[0]), keyed("bobs"))
    callers = world.operator.dispatcher.instances.callers
    for name in ("alice", "bob"):
        await world.reconcile(name, "instance")
        world.cluster.remove(INSTANCES, name, NAMESPACE)
        await world.reconcile(name, "instance")
    assert (callers._named, callers._listed, callers._being_listed) == ({}, set(), set())


async def test_an_instance_that_takes_a_models_secret_for_its_callers_takes_it_from_the_others() -> None:
    world = World(instance_object(**THEFT), bob(), run_object(), keyed("bobs"))
    await world.reconcile("alice", "instance")
    assert "SecretNotAllowed" not in str(world.instance_status()["conditions"])
    world.cluster.put(bob(**KEYS_OF_BOB[0]))
    await world.settle("bob", "instance")
    assert "SecretNotAllowed" in str(world.instance_status()["conditions"])


async def test_a_web_proxy_that_asks_for_embeddings_has_no_api_keys_of_other_instances_callers() -> None:
    agents = {"default": {"model": "m", "embeddingModels": ["embed"], "baseURL": ELSEWHERE["baseURL"]}}
    alice = instance_object(**THEFT, agents=agents, skills=[{"skillPackRef": "web-endpoint"}])
    world = World(alice, bob(**KEYS_OF_BOB[0]), keyed("bobs"), pack_object())
    await world.settle("alice", "instance")
    [deployment] = world.cluster.names(DEPLOYMENTS)
    assert "bobs" not in str(world.cluster.object(DEPLOYMENTS, deployment, NAMESPACE))


def test_a_run_that_names_no_secret_is_not_refused() -> None:
    assert model_secret.refusal(instance(**OWN), run(), None) is None
