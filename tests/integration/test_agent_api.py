"""The agent API on port 8081: which pod may fetch a task and send records (rule 5), and what is stored of them (rule 1)."""

import asyncio
import base64
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.fakes.crd_admission import unseen_status
from tests.fakes.kubernetes import FakeKubernetes
from tests.fakes.model import Model
from tests.fakes.pod import FakePod, TokenIssuer, delta, done
from tests.integration.conftest import Proxy, eventually, instance, listening
from tests.strategies import kubernetes_objects as objects
from tests.strategies.examples import FEW

from sympozium_api import installed_skills, names
from sympozium_api.client import ApiUnavailable
from sympozium_api.clock import SystemClock
from sympozium_api.installed_skills import InstalledSkill
from sympozium_api.resources import INSTANCES, RUNS, Object
from sympozium_api.skillpack import Parameter
from sympozium_runs.agent_api import create_agent_api
from sympozium_runs.broker import RunBroker
from sympozium_runs.pod_identity import PodTokens
from sympozium_runs.run_store import RunStore

DEEP_HEADER = base64.urlsafe_b64encode(b"[" * 20_000).decode()
"""First part of a token that is deeper than a parser can go."""


@dataclass
class World:
    kubernetes: FakeKubernetes
    issuer: TokenIssuer
    broker: RunBroker
    url: str

    def pod(self, name: str = "r1", suffix: str = "abcde") -> FakePod:
        return FakePod(self.kubernetes.object(RUNS, name), self.issuer, self.url, suffix)

    def status(self, name: str = "r1") -> dict[str, object]:
        found: dict[str, object] = self.kubernetes.object(RUNS, name).get("status", {})
        return found

    async def ask(self, token: str, run: str = "r1") -> httpx2.Response:
        async with httpx2.AsyncClient(base_url=self.url) as http:
            return await http.get(f"/runs/{run}/task", headers={"Authorization": f"Bearer {token}"})


def run(name: str, **spec: object) -> dict[str, object]:
    return {
        "apiVersion": names.API_VERSION,
        "kind": "AgentRun",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {"agentRef": "demo", "mode": "task", "task": "hello"} | spec,
    }


@pytest.fixture
async def world() -> AsyncIterator[World]:
    kubernetes = FakeKubernetes()
    issuer = TokenIssuer(kubernetes)
    kubernetes.put(instance(memory={"systemPrompt": "Be brief."}))
    kubernetes.put(run("r1"))
    kubernetes.put(run("r2"))
    clock, broker = SystemClock(), RunBroker()
    async with listening(create_agent_api(RunStore(kubernetes, clock), broker, PodTokens(kubernetes), clock)) as url:
        yield World(kubernetes, issuer, broker, url)


async def test_a_pod_gets_the_task_of_its_run_with_the_system_prompt_first(world: World) -> None:
    task = (await world.pod().task()).json()
    assert task["request"] == {
        "model": "smollm2",
        "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "hello"}],
    }
    assert task["model"]["baseURL"] == "http://model/v1"
    assert task["timeoutSeconds"] == 600


async def test_a_run_with_an_address_of_its_own_is_sent_no_header_of_the_instances(world: World) -> None:
    headers = {"x-provider-token": "secret"}
    agent = {"model": "m", "baseURL": "http://model/v1", "providerHeaders": headers}
    world.kubernetes.put(instance(agents={"default": agent}))
    world.kubernetes.put(run("r3", model={"baseURL": "http://attacker/v1"}))
    assert (await world.pod("r1").task()).json()["model"]["headers"] == headers
    assert (await world.pod("r3").task()).json()["model"]["headers"] == {}


async def test_an_idle_pod_gets_no_task_with_an_address_of_the_runs_own(world: World) -> None:
    """The pod has the instance's key."""
    name = f"{names.idle_job('demo', '01234567', '012345')}-abcde"
    claim = {"jobName": names.job_of_pod(name), "podName": name}
    world.kubernetes.put(run("r3", model={"baseURL": "http://attacker/v1"}, claim=claim))
    assert (await world.ask(world.issuer.token(name, "demo-agent"), "r3")).status_code == 410
    assert world.status("r3")["phase"] == "Failed"


SKILLS = {"skills": [{"skillPackRef": "web-endpoint"}, {"skillPackRef": "data"}]}


def installed(*known: InstalledSkill) -> dict[str, object]:
    """The ConfigMap that the operator keeps."""
    metadata = {"name": "demo-installed-skills", "namespace": "default"}
    data = {installed_skills.DOCUMENT: installed_skills.render(list(known))}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}


class TestSkills:
    known = (
        InstalledSkill(
            name="sql",
            description="For questions about data.",
            content="Ask {{db}} in {{region}}.",
            parameters=[Parameter(name="db", default="main"), Parameter(name="region")],
        ),
        InstalledSkill(name="style", content="Be kind."),
    )
    told = "# Skill: sql\n\nFor questions about data.\n\nAsk main in {{region}}.\n\n# Skill: style\n\nBe kind."

    async def test_skills_follow_the_system_prompt(self, world: World) -> None:
        world.kubernetes.put(instance(memory={"systemPrompt": "Be brief."}, **SKILLS))
        world.kubernetes.put(installed(*self.known))
        messages = (await world.pod().task()).json()["request"]["messages"]
        assert messages == [
            {"role": "system", "content": f"Be brief.\n\n{self.told}"},
            {"role": "user", "content": "hello"},
        ]

    async def test_skills_are_the_system_prompt_where_there_is_no_other(self, world: World) -> None:
        world.kubernetes.put(instance(memory={"systemPrompt": None}, **SKILLS))
        world.kubernetes.put(installed(*self.known))
        assert (await world.pod().task()).json()["request"]["messages"][0]["content"] == self.told

    async def test_an_instance_without_skills_reads_none(self, world: World) -> None:
        world.kubernetes.put(installed(*self.known))
        assert (await world.pod().task()).json()["request"]["messages"][0]["content"] == "Be brief."
        assert "configmaps" not in [plural for _, plural, _ in world.kubernetes.reads]

    async def test_a_pod_waits_for_skills_that_are_not_gathered_yet(self, world: World) -> None:
        world.kubernetes.put(instance(**SKILLS))
        assert (await world.pod().task()).status_code == 503
        assert world.status() == unseen_status("agentruns")
        world.kubernetes.put(installed())
        assert (await world.pod().task()).status_code == 200

    async def test_a_run_fails_with_the_reason_where_its_skills_cannot_be_gathered(self, world: World) -> None:
        refused = {"type": "Accepted", "status": "False", "reason": "SkillPackNotFound"}
        refused |= {"message": "there is no SkillPack data", "lastTransitionTime": "2026-01-01T00:00:00Z"}
        world.kubernetes.put(instance(**SKILLS) | {"status": {"conditions": [refused]}})
        assert (await world.pod().task()).status_code == 410
        assert world.status()["error"] == {
            "type": "skills_missing",
            "message": "There is no SkillPack data.",
            "httpStatus": 503,
        }

    async def test_skills_gathered_before_stay_in_use_while_the_spec_is_refused(self, world: World) -> None:
        refused = {"type": "Accepted", "status": "False", "reason": "SkillPackNotFound"}
        refused |= {"message": "there is no SkillPack data", "lastTransitionTime": "2026-01-01T00:00:00Z"}
        world.kubernetes.put(instance(**SKILLS) | {"status": {"conditions": [refused]}})
        world.kubernetes.put(installed(*self.known))
        assert self.told in (await world.pod().task()).json()["request"]["messages"][0]["content"]

    async def test_a_completion_of_a_prompt_cannot_have_skills(self, world: World) -> None:
        world.kubernetes.put(instance(memory={"systemPrompt": None}, **SKILLS))
        world.kubernetes.put(installed(*self.known))
        world.kubernetes.put(run("r4") | {"spec": {"agentRef": "demo", "mode": "task", "request": {"prompt": "x"}}})
        assert (await world.pod("r4").task()).status_code == 410
        assert world.status("r4")["error"]["type"] == "unsupported_parameter"  # type: ignore[index]


async def test_a_request_keeps_all_fields_but_those_about_the_callers_answer(world: World) -> None:
    asked = {"messages": [{"role": "user", "content": "x"}], "model": "demo", "stream": True, "seed": 7}
    world.kubernetes.put(run("r3") | {"spec": {"agentRef": "demo", "mode": "task", "request": asked}})
    task = (await world.pod("r3").task()).json()
    assert task["request"]["seed"] == 7
    assert task["request"]["model"] == "smollm2"
    assert "stream" not in task["request"]


class TestAuthorization:
    async def test_a_pod_of_another_run_is_refused(self, world: World) -> None:
        token = world.issuer.token(world.pod("r2").name, "demo-agent")
        assert (await world.ask(token, run="r1")).status_code == 403

    async def test_a_pod_of_another_service_account_is_refused(self, world: World) -> None:
        assert (await world.ask(world.issuer.token(world.pod().name, "default"))).status_code == 403

    @pytest.mark.parametrize(
        "changes",
        [
            {"aud": ["https://kubernetes.default.svc"]},
            {"exp": 1_000_000_000},
            {"iss": "https://elsewhere"},
            {"kubernetes.io": {}},
        ],
    )
    async def test_a_token_for_another_purpose_is_refused(self, world: World, changes: dict[str, Any]) -> None:
        token = world.issuer.token(world.pod().name, "demo-agent", **changes)
        assert (await world.ask(token)).status_code == 401

    async def test_a_token_of_another_cluster_is_refused(self, world: World) -> None:
        elsewhere = TokenIssuer(FakeKubernetes())
        assert (await world.ask(elsewhere.token(world.pod().name, "demo-agent"))).status_code == 401

    @pytest.mark.parametrize("token", ["nonsense", "a.b.c", f"{DEEP_HEADER}.b.c"], ids=["nonsense", "parts", "deep"])
    async def test_a_malformed_token_is_refused(self, world: World, token: str) -> None:
        assert (await world.ask(token)).status_code == 401

    async def test_an_unknown_run_is_not_found(self, world: World) -> None:
        assert (await world.ask(world.issuer.token("x", "demo-agent"), run="nothing")).status_code == 404

    async def test_a_second_pod_of_the_job_is_refused_while_the_first_one_sends_records(self, world: World) -> None:
        rest = asyncio.Event()
        received = world.broker.subscribe(("default", "r1"))
        first = asyncio.create_task(world.pod().say({"type": "started"}, delta("a"), rest, done("a")))
        await received.next(within=5)
        assert (await world.pod(suffix="zzzzz").answer("b")).status_code == 409
        rest.set()
        assert (await first).json() == {"stored": True}
        assert world.status()["result"] == "a"


class TestEndRecords:
    async def test_an_end_record_may_be_repeated(self, world: World) -> None:
        pod = world.pod()
        assert (await pod.say(done("a"))).json() == {"stored": True}
        assert (await pod.say(done("a"))).json() == {"stored": True}

    async def test_a_terminal_status_never_changes(self, world: World) -> None:
        world.kubernetes.put(run("r1") | {"status": {"phase": "Cancelled"}})
        assert (await world.pod().say({"type": "started"}, done("a"))).status_code == 410
        assert world.status() == unseen_status("agentruns") | {"phase": "Cancelled"}

    async def test_an_end_record_is_not_acknowledged_unless_stored(self, world: World) -> None:
        world.kubernetes.refuse("patch", RUNS, ApiUnavailable("away"))
        pod = world.pod()
        assert (await pod.say(done("a"))).status_code == 503
        assert world.status() == unseen_status("agentruns")
        assert (await pod.say(done("a"))).json() == {"stored": True}

    async def test_a_request_without_an_end_record_stores_nothing(self, world: World) -> None:
        assert (await world.pod().say({"type": "started"}, delta("a"))).json() == {"stored": False}
        assert world.status() == unseen_status("agentruns")

    @pytest.mark.parametrize("record", [{"no": "type"}, {"type": 7}])
    async def test_a_malformed_record_is_refused(self, world: World, record: dict[str, object]) -> None:
        assert (await world.pod().say(record)).status_code == 422


async def test_a_cancelled_run_has_no_task(world: World) -> None:
    world.kubernetes.put(run("r1", cancel=True))
    assert (await world.pod().task()).status_code == 410


class TestAtTheReplicaThatHoldsTheCaller:
    async def test_a_pod_costs_no_read_of_the_api_server(self, proxy: Proxy) -> None:
        asked = asyncio.create_task(proxy.chat())
        pod = await proxy.pod()
        proxy.kubernetes.reads.clear()
        assert (await pod.task()).status_code == 200
        await pod.answer("Hello")
        assert (await asked).json()["choices"][0]["message"]["content"] == "Hello"
        assert not [read for read in proxy.kubernetes.reads if read[0] == "get"]

    async def test_the_task_is_of_the_instance_as_it_is_now(self, proxy: Proxy, model: Model) -> None:
        asked = asyncio.create_task(proxy.chat())
        pod = await proxy.pod()
        await proxy.use_model(model, "slow:1:0")
        assert (await pod.task()).json()["request"]["model"] == "slow:1:0"
        await pod.answer("Hello")
        await asked

    async def test_a_run_that_was_cancelled_elsewhere_has_no_task(self, proxy: Proxy) -> None:
        asked = asyncio.create_task(proxy.chat())
        pod = await proxy.pod()
        proxy.kubernetes.put({"kind": "AgentRun", "metadata": {"name": pod.run}, "spec": {"cancel": True}})
        await eventually(lambda: proxy.context.runs._broker.remembered(("default", pod.run)) is None)
        assert (await pod.task()).status_code == 410
        asked.cancel()

    async def test_a_pod_of_another_job_is_refused_here_as_well(self, proxy: Proxy) -> None:
        asked = asyncio.create_task(proxy.chat())
        pod = await proxy.pod()
        other = {**proxy.kubernetes.object(RUNS, pod.run), "metadata": {"name": pod.run, "uid": "another"}}
        other["spec"] = {"agentRef": "demo"}
        assert (await FakePod(other, proxy.issuer, proxy.surface).task()).status_code == 403
        await pod.answer("Hello")
        await asked


@pytest.mark.parametrize(
    "record",
    [
        {"type": "done", "choices": [{"message": "hello"}]},
        {"type": "done", "choices": 7, "usage": 7, "durationMs": "7"},
        {"type": "done", "choices": [{"message": {"content": "Hi"}, "seed": float("inf")}]},
        {"type": "error", "error": "no object"},
        {"type": "error", "error": {"type": [], "message": {}, "httpStatus": 10**30}, "durationMs": -1},
    ],
)
async def test_a_malformed_end_record_ends_its_run_as_failed(world: World, record: dict[str, object]) -> None:
    response = await world.pod().say({"type": "started"}, record)
    assert (response.status_code, response.json()) == (200, {"stored": True})
    assert world.status()["phase"] == "Failed"


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"state": "running"},
        {"function": "a\n\ndata: forged"},
        {"function": "weather: sunny"},
        {"function": 7},
        {"id": None},
    ],
)
async def test_a_malformed_record_of_a_tool_is_refused_for_good(world: World, fields: dict[str, object]) -> None:
    record = {"type": "tool", "state": "started", "id": "call_1", "function": "weather"} | fields
    status = (await world.pod().say(record, {"type": "error", "error": {}, "durationMs": 1})).status_code
    assert status == (422 if fields else 200)


@pytest.mark.parametrize("choices", [None, 7, ["hello"], [{"delta": "hello"}]])
async def test_a_malformed_delta_is_refused_for_good(world: World, choices: object) -> None:
    assert (await world.pod().say({"type": "delta", "choices": choices})).status_code == 422


async def test_a_header_of_the_instance_that_cannot_be_sent_ends_its_runs_with_its_name(world: World) -> None:
    world.kubernetes.put(instance(agents={"default": {"model": "smollm2", "providerHeaders": {"x-team": "blåa"}}}))
    assert (await world.pod().task()).status_code == 410
    assert "'x-team'" in str(world.status()["error"])


@FEW
@given(
    objects.runs("default", "any"),
    objects.instances("default", "any-instance"),
    st.lists(objects.end_records, max_size=3),
)
async def test_no_run_and_no_record_of_any_shape_breaks_the_runs_server(
    world: World, any_run: Object, any_instance: Object, records: list[Object]
) -> None:
    any_run["spec"]["agentRef"] = "any-instance"
    for body in (any_run, any_instance):
        world.kubernetes.put(body)
    pod = world.pod("any")
    statuses = [(await pod.task()).status_code, (await pod.say({"type": "started"}, *records)).status_code]
    assert 500 not in statuses
    assert (await world.pod("r2").task()).status_code == 200
    world.kubernetes.remove(RUNS, "any")
    world.kubernetes.remove(INSTANCES, "any-instance")
