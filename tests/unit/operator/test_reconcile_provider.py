"""Providers: their conditions, the instances that name them, the pods that get their keys, and their trials."""

import asyncio
import base64
import json
from contextlib import aclosing
from typing import Any

import pytest
from tests.fakes.kubernetes import FakeKubernetes
from tests.unit.api.test_providers import provider_manifest
from tests.unit.operator.objects import NAMESPACE, instance_object, pack_object
from tests.unit.operator.operator_world import Object, World, operator_settings

from sympozium_api import agent_document, environment, names
from sympozium_api.resolved_model import ResolvedModel
from sympozium_api.resources import CONFIG_MAPS, INSTANCES, PROVIDERS, ROLES, SECRETS, ResourceType
from sympozium_api.tool_check import Flaw
from sympozium_operator.cluster.egress_guard import Verification
from sympozium_operator.policy.provider_resolution import ResolvedProvider
from sympozium_operator.reconcile.provider_directory import ProviderDirectory, ReadProvider
from sympozium_operator.reconcile.provider_trials import ProviderTrials
from sympozium_operator.result import Key
from sympozium_operator.scheduling.pace import Pace
from sympozium_operator.scheduling.shards import Shards
from sympozium_operator.wiring import wire

KEY = Key("provider", NAMESPACE, "claude")
GUARD = "http://guard:8082"


def secret(name: str = "anthropic", entries: dict[str, str] | None = None, *, labelled: bool = True) -> Object:
    data = {key: base64.b64encode(text.encode()).decode() for key, text in (entries or {"api-key": "sk-1"}).items()}
    labels = {names.LABEL_MODEL_KEY: "true"} if labelled else {}
    metadata: Object = {"name": name, "namespace": NAMESPACE, "labels": labels}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "data": data}


def provider(name: str = "claude", **spec: Any) -> Object:
    body = provider_manifest(name, **({"secretRef": "anthropic"} | spec))
    body["metadata"]["namespace"] = NAMESPACE
    return body


def user(name: str = "alice", *, agent: Object | None = None, **spec: Any) -> Object:
    body = instance_object(name)
    body["spec"].pop("authRefs", None)
    body["spec"]["agents"]["default"] = {"model": "claude-x", "providerRef": "claude"} | (agent or {})
    body["spec"] |= spec
    return body


class Tried(World):
    """A world whose guard says what a test lets it say."""

    def __init__(self, *objects: Object, **variables: str) -> None:
        self.asked: list[tuple[str, str | None]] = []
        self.verdict = Verification(valid=True, reason="Answered", error="")
        super().__init__(*objects, SYMPOZIUM_EGRESS_URL=GUARD, **variables)

    def restart(self, *, network_policies: bool = True, shards: Shards | None = None) -> None:
        super().restart(network_policies=network_policies, shards=shards)
        settings = operator_settings(SYMPOZIUM_NETWORK_POLICIES="true", **self.variables)
        self.operator = wire(
            client=self.cluster,
            clock=self.clock,
            settings=settings,
            shards=shards,
            verify=self.verify,
            sleep=self.sleep,
        )
        self.dispatcher = self.operator.dispatcher

    async def sleep(self, seconds: float) -> None:
        self.clock.advance(seconds)

    async def verify(self, _: str, name: str, model: str | None) -> Verification:
        self.asked.append((name, model))
        return self.verdict

    async def try_providers(self) -> None:
        for key in [key async for key in self.operator.trials.try_due()]:
            await self.settle(key.name, key.kind)

    def conditions(self, kind: Any = PROVIDERS, name: str = "claude") -> dict[str, tuple[str, str, str]]:
        found = self.cluster.object(kind, name, NAMESPACE)["status"]["conditions"]
        return {each["type"]: (each["status"], each["reason"], each["message"]) for each in found}

    def document(self, name: str = "alice") -> Object:
        body = self.cluster.object(CONFIG_MAPS, names.installed_skills(name), NAMESPACE)
        found: Object = json.loads(body["data"][agent_document.DOCUMENT])
        return found

    def folders(self) -> list[str | None]:
        """Folders of credentials that tasks name."""
        return [ResolvedModel.model_validate(model).folder for model in self.document()["models"]]

    async def both(self) -> None:
        await self.settle("alice", "instance")
        await self.settle("claude", "provider")


def files_of(pod: Object) -> dict[str, str]:
    """Paths of the files with API keys by Secret and entry, and of folders with headers by Secret."""
    volumes = {volume["name"]: volume for volume in pod["volumes"]}
    mounts = {mount["name"]: mount["mountPath"] for mount in pod["containers"][0]["volumeMounts"]}
    files = {
        f"{source['secret']['name']}/{item['key']}": item["path"]
        for source in volumes["providers"]["projected"]["sources"]
        for item in source["secret"]["items"]
    }
    headers = [name for name in volumes if name.startswith("provider-headers")]
    return files | {volumes[name]["secret"]["secretName"]: mounts[name] for name in headers}


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


async def test_the_guard_may_read_a_providers_secrets_before_it_is_tried() -> None:
    world = Tried(secret(), provider(), user())
    await world.settle("alice", "instance")
    await world.reconcile("claude", "provider")
    await world.try_providers()
    assert world.asked == []
    await world.reconcile("all", "tools")
    [rule] = world.cluster.object(ROLES, names.EGRESS, NAMESPACE)["rules"]
    assert (rule["resourceNames"], rule["verbs"]) == (["anthropic"], ["get"])
    await world.reconcile("claude", "provider")
    await world.try_providers()
    assert world.asked == [("claude", "claude-x")]


async def test_a_trial_is_the_condition_reachable_and_that_of_its_instances() -> None:
    world = Tried(secret(), provider(), user(webEndpoint={"enabled": True}))
    await world.both()
    await world.settle("claude", "provider")
    assert world.conditions()["Reachable"][:2] == ("Unknown", "NotTried")
    await world.try_providers()
    assert world.conditions()["Reachable"][:2] == ("True", "Answered")
    status = world.cluster.object(PROVIDERS, "claude", NAMESPACE)["status"]
    assert (status["triedModel"], bool(status["triedAt"])) == ("claude-x", True)
    assert world.conditions(INSTANCES, "alice")["ModelReachable"][:2] == ("True", "Answered")
    world.verdict = Verification(valid=False, reason="ModelRefused", error="it answered 401")
    world.cluster.put(secret(entries={"api-key": "sk-2"}))
    await world.settle("claude", "provider")
    await world.try_providers()
    assert world.conditions()["Reachable"] == ("False", "ModelRefused", "it answered 401")
    reached = world.conditions(INSTANCES, "alice")["ModelReachable"]
    assert reached == ("False", "ModelRefused", "Provider claude: it answered 401")
    assert world.conditions(INSTANCES, "alice")["ModelReady"][0] == "True"


class ContentUnread(FakeKubernetes):
    """An API server that answers reads of a Secret's content by a failure of the test."""

    async def find(self, kind: ResourceType, namespace: str, name: str) -> Object | None:
        assert kind is not SECRETS, f"the operator reads the Secret {name}"
        return await super().find(kind, namespace, name)


async def test_the_operator_reads_the_metadata_of_a_providers_secrets_alone() -> None:
    headers = secret("headers", {"X-Org": "o"})
    world = Tried(secret(), headers, provider(headersSecretRef="headers"), user(agent={"warmPool": {"size": 1}}))
    world.cluster.__class__ = ContentUnread
    await world.both()
    await world.reconcile("all", "tools")
    await world.settle("claude", "provider")
    await world.try_providers()
    assert world.conditions()["Reachable"][0] == "True"
    assert world.conditions(INSTANCES, "alice")["ModelReady"][0] == "True"
    assert [key async for key in world.operator.api_keys.changed()] == []
    world.ask("q1")
    await world.settle("q1")
    assert "anthropic/api-key" in files_of(world.job()["spec"]["template"]["spec"])


async def test_what_the_guard_finds_in_a_secrets_entries_is_the_condition_accepted() -> None:
    world = Tried(secret(entries={"GROQ_API_KEY": "x"}), provider(), user())
    await world.both()
    await world.settle("claude", "provider")
    assert world.conditions()["Accepted"][0] == "True"  # until the guard has seen the entries
    words = "spec.secretRef: the Secret anthropic has neither the entry ANTHROPIC_API_KEY nor api-key"
    world.verdict = Verification(valid=False, reason="SecretKeyNotFound", error=words)
    await world.try_providers()
    for _ in range(2):  # also with a new leader, which has seen no trial
        assert world.conditions()["Accepted"] == ("False", "SecretKeyNotFound", words)
        assert world.conditions()["Reachable"][:2] == ("Unknown", "NotAccepted")
        status, reason, message = world.conditions(INSTANCES, "alice")["ModelReady"]
        assert (status, reason) == ("False", "SecretKeyNotFound")
        assert words in message
        world.restart()
        await world.both()
        await world.try_providers()
    assert len(world.asked) == 1
    world.ask("q1")
    await world.settle("q1")
    assert (world.status()["error"]["type"], world.status()["error"]["httpStatus"]) == ("model_not_ready", 503)
    world.verdict = Verification(valid=False, reason="GuardUnreachable", error="the egress guard does not answer")
    world.cluster.put(secret(entries={"api-key": "sk-1"}))
    await world.both()
    await world.try_providers()
    assert world.conditions()["Accepted"][:2] == ("False", "SecretKeyNotFound")  # nobody has looked again
    world.verdict = Verification(valid=True, reason="Answered", error="")
    world.clock.advance(61)
    await world.try_providers()
    assert world.conditions()["Accepted"][0] == "True"
    assert world.conditions()["Reachable"][:2] == ("True", "Answered")
    assert world.conditions(INSTANCES, "alice")["ModelReady"][0] == "True"


async def test_trials_are_paced_and_survive_a_new_leader() -> None:
    world = Tried(secret(), provider(), user())
    await world.both()
    await world.settle("claude", "provider")
    await world.try_providers()
    assert len(world.asked) == 1
    for _ in range(3):
        await world.settle("claude", "provider")
        await world.try_providers()
    assert len(world.asked) == 1
    world.restart()
    await world.both()
    await world.try_providers()
    assert len(world.asked) == 1
    world.clock.advance(601)
    world.verdict = Verification(valid=False, reason="Timeout", error="no answer")
    await world.try_providers()
    assert len(world.asked) == 2
    for wait in (61, 121, 241):
        world.clock.advance(wait - 5)
        await world.try_providers()
        before = len(world.asked)
        world.clock.advance(5)
        await world.try_providers()
        assert len(world.asked) == before + 1
        await world.settle("claude", "provider")  # as the watch does after the result was written


async def test_namespaces_take_turns_in_trials() -> None:
    asked: list[str] = []
    answers = asyncio.Event()

    async def verify(namespace: str, name: str, _: str | None) -> Verification:
        asked.append(f"{namespace}/{name}")
        if namespace == "crowd":
            await answers.wait()
        return Verification(valid=True, reason="Answered", error="")

    world = Tried()
    trials = ProviderTrials(verify, Pace(1000, now=world.clock.monotonic, sleep=world.sleep), world.clock.monotonic)
    for number in range(50):
        trials.plan(Key("provider", "crowd", f"p{number}"), "digest", None, 0)
    trials.plan(Key("provider", "one", "p"), "digest", None, 0)
    async with aclosing(trials.try_due()) as results:
        assert await anext(results) == Key("provider", "one", "p")
        assert len(asked) <= 8


async def test_an_older_state_of_a_provider_replaces_no_newer_one() -> None:
    newer = ResolvedProvider(Flaw("ProviderDisabled", "spec.enabled: it is switched off"))

    class Overtaken(ProviderDirectory):
        async def load(self, namespace: str, name: str) -> tuple[ReadProvider | None, ResolvedProvider]:
            found = await super().load(namespace, name)
            self.put(namespace, name, newer)
            return found

    directory = Overtaken(Tried(secret(), provider()).cluster)
    assert await directory.get(NAMESPACE, "claude") is newer
    assert await directory.get(NAMESPACE, "claude") is newer


async def test_a_settled_provider_costs_no_write() -> None:
    world = Tried(secret(), provider(), user())
    await world.both()
    await world.settle("claude", "provider")
    await world.try_providers()
    world.writes()
    await world.both()
    assert world.writes() == []


async def test_without_a_guard_a_provider_works_and_is_not_tried() -> None:
    world = World(secret(), provider(), user())
    await world.settle("alice", "instance")
    await world.settle("claude", "provider")
    found = {
        each["type"]: each for each in world.cluster.object(PROVIDERS, "claude", NAMESPACE)["status"]["conditions"]
    }
    assert (found["Reachable"]["status"], found["Reachable"]["reason"]) == ("Unknown", "GuardOff")
    instance = {each["type"]: each["status"] for each in world.instance_status()["conditions"]}
    assert instance["ModelReady"] == "True"
