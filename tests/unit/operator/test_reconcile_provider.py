"""Providers: their conditions, the instances that name them, and the pods that get their keys."""

import json

import pytest
from tests.unit.operator.objects import NAMESPACE, instance_object, pack_object
from tests.unit.operator.operator_world import Object
from tests.unit.operator.provider_world import KEY, Tried, files_of, provider, secret, user

from sympozium_api import environment, names
from sympozium_api.resources import INSTANCES, PROVIDERS


async def test_an_instance_gets_the_model_of_its_provider() -> None:
    world = Tried(secret(), provider(headers={"X-Team": "a"}), user())
    await world.both()
    assert world.conditions(INSTANCES, "alice")["ModelReady"][:2] == ("True", "ProviderAccepted")
    [model] = world.document()["models"]
    assert (model["provider"], model["ref"], model["name"], model["title"], model["baseUrl"], model["headers"]) == (
        "anthropic_native",
        "claude",
        "claude-x",
        "claude:claude-x",
        "https://api.anthropic.com/v1",
        {"X-Team": "a"},
    )
    assert "sk-1" not in json.dumps(world.document())
    status = world.cluster.object(PROVIDERS, "claude", NAMESPACE)["status"]
    assert (status["apiBase"], world.conditions()["Accepted"][0]) == ("https://api.anthropic.com/v1", "True")


async def test_a_pod_has_each_providers_credentials_in_a_folder_of_their_own() -> None:
    headers = secret("headers", {"X-Org": "o"})
    world = Tried(
        secret(entries={"ANTHROPIC_API_KEY": "sk-1"}),
        secret("openai"),
        headers,
        provider(headersSecretRef="headers"),
        provider("backup", type="openai_compat", apiBase="http://vllm:8000/v1", secretRef="openai"),
        user(agent={"fallbackModels": ["claude-y", "backup:gpt-x"]}),
    )
    await world.both()
    world.ask("q1")
    await world.settle("q1")
    pod = world.job()["spec"]["template"]["spec"]
    claude, _, backup = world.folders()
    assert len({claude, backup}) == 2
    assert files_of(pod) == {
        "anthropic/ANTHROPIC_NATIVE_API_KEY": f"{claude}/key-0",
        "anthropic/ANTHROPIC_API_KEY": f"{claude}/key-1",
        "anthropic/api-key": f"{claude}/key-2",
        "openai/OPENAI_COMPAT_API_KEY": f"{backup}/key-0",
        "openai/OPENAI_API_KEY": f"{backup}/key-1",
        "openai/api-key": f"{backup}/key-2",
        "headers": f"{environment.PROVIDER_HEADERS_DIR}/{claude}",
    }
    [container] = pod["containers"]
    assert {"name": "providers", "mountPath": environment.PROVIDER_KEYS_DIR, "readOnly": True} in container[
        "volumeMounts"
    ]
    assert [model["title"] for model in world.document()["models"]] == [
        "claude:claude-x",
        "claude:claude-y",
        "backup:gpt-x",
    ]


@pytest.mark.parametrize(
    ("objects", "reason", "words"),
    [
        ([], "ProviderNotFound", "spec.agents.default.providerRef: the Provider claude cannot be called"),
        ([secret(), provider(enabled=False)], "ProviderDisabled", "the Provider claude"),
        ([provider()], "SecretNotFound", "spec.secretRef: there is no Secret anthropic"),
        ([secret(labelled=False), provider()], "SecretNotLabelled", 'sympozium.ai/model-key: "true"'),
        ([secret(), provider(headers={"X-A": "\u00e9"})], "InvalidHeader", "spec.headers"),
        ([secret(), provider(headers={"Host": "a"})], "InvalidHeader", "spec.headers: 'Host'"),
        ([secret(), provider(apiBase="http://1234567/v1")], "InvalidAddress", "spec.apiBase"),
    ],
)
async def test_a_provider_that_cannot_be_called_is_named_and_its_callers_get_503(
    objects: list[Object], reason: str, words: str
) -> None:
    world = Tried(*objects, user())
    await world.settle("alice", "instance")
    status, found, message = world.conditions(INSTANCES, "alice")["ModelReady"]
    assert (status, found) == ("False", reason)
    assert words in message
    world.ask("q1")
    await world.settle("q1")
    error = world.status()["error"]
    assert (error["type"], error["httpStatus"]) == ("model_not_ready", 503)


@pytest.mark.parametrize(
    ("agent", "spec", "field"),
    [
        ({"baseURL": "http://model/v1"}, {}, "spec.agents.default.baseURL"),
        ({}, {"authRefs": [{"provider": "openai", "secret": "openai"}]}, "spec.authRefs"),
    ],
)
async def test_a_second_address_or_key_beside_a_provider_is_refused(agent: Object, spec: Object, field: str) -> None:
    world = Tried(secret(), provider(), user(agent=agent, **spec))
    await world.settle("alice", "instance")
    status, reason, message = world.conditions(INSTANCES, "alice")["Accepted"]
    assert (status, reason) == ("False", "InvalidSpec")
    assert message.startswith(field)


async def test_a_fallback_that_cannot_be_called_is_left_out_and_named() -> None:
    world = Tried(secret(), provider(), user(agent={"fallbackModels": ["backup:m"]}))
    await world.settle("alice", "instance")
    status, reason, message = world.conditions(INSTANCES, "alice")["ModelReady"]
    assert (status, reason) == ("True", "FallbackLeftOut")
    assert message.startswith("spec.agents.default.fallbackModels[0]: the Provider backup")
    assert len(world.document()["models"]) == 1


async def test_an_instance_with_its_own_address_may_have_fallbacks_of_a_provider() -> None:
    own = instance_object("alice")
    own["spec"]["agents"]["default"]["fallbackModels"] = [":small:8b", "claude:claude-x"]
    world = Tried(secret(), provider(), own)
    await world.settle("alice", "instance")
    first, small, other = world.document()["models"]
    assert ("ref" in first, small["name"], small["baseUrl"]) == (False, "small:8b", first["baseUrl"])
    assert (other["ref"], other["name"]) == ("claude", "claude-x")


async def test_a_changed_key_or_address_rolls_idle_pods_of_its_instances_and_nothing_else() -> None:
    pool = {"warmPool": {"size": 1}}
    other = instance_object("bob")
    other["spec"]["agents"]["default"]["warmPool"] = {"size": 1}
    other["spec"]["webEndpoint"] = {"enabled": True}
    world = Tried(pack_object(), secret(), provider(), user(agent=pool, webEndpoint={"enabled": True}), other)
    await world.both()
    await world.settle("bob", "instance")

    def generations() -> list[str]:
        return [world.instance_status(name).get("warmPool", {}).get("generation", "") for name in ("alice", "bob")]

    first = generations()
    world.cluster.put(secret(entries={"api-key": "sk-2"}))
    assert [key async for key in world.operator.api_keys.changed()] == [KEY]
    await world.settle("claude", "provider")
    second = generations()
    world.cluster.put(provider(apiBase="https://proxy.example.com/v1"))
    await world.settle("claude", "provider")
    third = generations()
    assert len({first[0], second[0], third[0]}) == 3
    assert len({first[1], second[1], third[1]}) == 1
    world.cluster.put(provider(apiBase="https://proxy.example.com/v1", title="Claude"))
    await world.settle("claude", "provider")
    assert generations() == third


async def test_a_pod_of_a_changed_provider_has_no_key_for_a_task_of_the_former_one() -> None:
    """Its instance, from whose document tasks are made, is reconciled later."""
    world = Tried(secret(), secret("other"), provider(), user())
    await world.both()
    await world.settle("alice", "instance")
    world.cluster.put(provider(secretRef="other", apiBase="https://other.example.com/v1"))
    await world.reconcile("claude", "provider")
    world.ask("q1")
    await world.settle("q1")
    paths = files_of(world.job()["spec"]["template"]["spec"]).values()
    [named] = world.folders()
    assert world.document()["models"][0]["baseUrl"] == "https://api.anthropic.com/v1"
    assert {path.partition("/")[0] for path in paths}.isdisjoint({named})


async def test_a_run_may_name_a_provider() -> None:
    world = Tried(secret("openai"), provider("backup", type="groq", secretRef="openai"), instance_object("alice"))
    await world.settle("alice", "instance")
    world.ask("q1", model={"provider": "backup", "model": "llama"})
    await world.settle("q1")
    target = world.status()["target"]
    assert (target["ref"], target["name"], target["baseUrl"]) == ("backup", "llama", "https://api.groq.com/openai/v1")
    template = world.job()["spec"]["template"]
    assert template["metadata"]["labels"][names.LABEL_MODEL] == names.OWN_MODEL
    assert [volume["name"] for volume in template["spec"]["volumes"]] == ["runs-token", "providers"]


async def test_a_run_gets_the_provider_of_its_reference_whatever_its_instance_names_by_now() -> None:
    own = instance_object("alice")
    own["spec"]["authRefs"] = [{"provider": "backup", "secret": "openai"}]
    world = Tried(secret("openai"), secret("groq"), provider("backup", type="groq", secretRef="groq"), own)
    await world.settle("alice", "instance")
    world.ask("q1", model={"providerRef": "backup", "model": "llama"})
    await world.settle("q1")
    target = world.status()["target"]
    assert (target["ref"], target["name"], target["secret"]) == ("backup", "llama", "groq")
    assert [volume["name"] for volume in world.job()["spec"]["template"]["spec"]["volumes"]] == [
        "runs-token",
        "providers",
    ]


async def test_a_run_with_a_provider_of_its_own_needs_no_key_of_its_instance() -> None:
    own = instance_object("alice")
    own["spec"]["authRefs"] = [{"provider": "openai", "secret": "missing"}]
    world = Tried(secret("groq"), provider("backup", type="groq", secretRef="groq"), own)
    await world.settle("alice", "instance")
    world.ask("q1", model={"providerRef": "backup", "model": "llama"})
    await world.settle("q1")
    assert "error" not in world.status()
    assert world.job()


async def test_a_run_of_its_instances_own_provider_has_the_model_resolved_once() -> None:
    world = Tried(secret(), provider(), user(agent={"fallbackModels": ["claude:small"]}))
    await world.both()
    world.ask("q1", model={"providerRef": "claude", "model": "claude-old"})
    await world.settle("q1")
    assert (world.status()["target"]["ref"], world.status()["target"]["name"]) == ("claude", "claude-old")


async def test_a_run_whose_provider_is_gone_fails() -> None:
    world = Tried(instance_object("alice"))
    world.ask("q1", model={"providerRef": "gone", "model": "m"})
    await world.settle("q1")
    assert world.status()["error"]["message"].startswith("spec.model.providerRef: the Provider gone cannot be called")


async def test_a_run_that_names_a_provider_that_is_switched_off_fails() -> None:
    world = Tried(provider("backup", type="groq", secretRef=None, enabled=False), instance_object("alice"))
    world.ask("q1", model={"provider": "backup"})
    await world.settle("q1")
    assert world.status()["error"]["message"].startswith("spec.model.provider: the Provider backup cannot be called")
