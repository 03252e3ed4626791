"""Providers are tried by the egress guard, in turn, and what it finds is their condition."""

import asyncio
from contextlib import aclosing

from tests.fakes.kubernetes import FakeKubernetes
from tests.unit.operator.objects import NAMESPACE
from tests.unit.operator.operator_world import Object, World
from tests.unit.operator.provider_world import Tried, files_of, provider, secret, user

from sympozium_api import names
from sympozium_api.resources import INSTANCES, PROVIDERS, ROLES, SECRETS, ResourceType
from sympozium_api.tool_check import Flaw
from sympozium_operator.cluster.egress_guard import Verification
from sympozium_operator.policy.provider_resolution import ResolvedProvider
from sympozium_operator.reconcile.provider_directory import ProviderDirectory, ReadProvider
from sympozium_operator.reconcile.provider_trials import ProviderTrials
from sympozium_operator.result import Key
from sympozium_operator.scheduling.pace import Pace


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
