"""An idle pod waits for any run of its instance, carries out one, and reports if it had none."""

import pytest
from tests.fakes import agent_thread
from tests.fakes.model import Model, Request
from tests.unit.agent.conftest import IMPATIENT, QUICK, Pod, task_for
from tests.unit.agent.surface import Reply, Surface, replica

from sympozium_agent.agent_settings import AgentSettings, Timeouts
from sympozium_agent.driver import Driver
from sympozium_agent.runs_client import RunsClient
from sympozium_agent.transport.connection import Connection
from sympozium_agent.transport.url import Url
from sympozium_agent.waiting import Scope
from sympozium_api.agent_records import Task
from sympozium_api.values import replace

ASK_AGAIN = Reply(status=204)


async def idle(pod: Pod, *surfaces: Surface, ttl: float = 60, timeouts: Timeouts = QUICK) -> int:
    """The exit code of an idle agent."""
    settings = replace(pod.settings(*(surface.url for surface in surfaces)), run=None, instance="demo", idle_ttl=ttl)
    return await agent_thread.started(settings, pod.stop, environ=pod.environ, timeouts=timeouts)


async def test_an_idle_pod_polls_until_a_run_claims_it_and_carries_out_that_run(pod: Pod, model: Model) -> None:
    async with replica(task_for(model), tasks=[ASK_AGAIN, ASK_AGAIN, Reply()]) as surface:
        assert await idle(pod, surface) == 0
    assert surface.targets == ["/instances/demo/task"] * 3
    assert surface.end["type"] == "done"
    assert pod.termination_message is None


async def test_an_idle_pod_delivers_its_records_to_the_replica_with_the_caller(pod: Pod, model: Model) -> None:
    async with replica(None) as callers:
        task = task_for(model)
        task["surface"] = callers.url
        async with replica(task) as service:
            assert await idle(pod, service) == 0
        assert service.deliveries == []
        assert callers.end["type"] == "done"


async def test_an_idle_pod_reads_the_model_key_when_the_run_comes(pod: Pod, model: Model) -> None:
    async with replica(task_for(model, "echo"), tasks=[ASK_AGAIN, Reply(status=503), Reply()]) as surface:
        taken = surface._take

        async def rotated(*args: object) -> Reply:
            pod.key_file.write_text("sk-new")
            return await taken(*args)  # type: ignore[arg-type]

        surface._take = rotated  # type: ignore[assignment,method-assign]
        assert await idle(pod, surface) == 0
    assert "Bearer sk-new" in str(surface.end)


@pytest.mark.parametrize("status", [None, 503], ids=["lost", "no task"])
async def test_an_idle_pod_reports_a_lost_answer_until_a_replica_knows_its_state(
    pod: Pod, model: Model, status: int | None
) -> None:
    tasks = [Reply(status=status), Reply(status=503), ASK_AGAIN, Reply()]
    async with replica(task_for(model), tasks=tasks) as surface:
        assert await idle(pod, surface) == 0
    asked, lost = "/instances/demo/task", "/instances/demo/task?lost=1"
    assert surface.targets == [asked, lost, lost, asked]


@pytest.mark.parametrize("status", [401, 403, 410])
async def test_an_idle_pod_that_its_pool_refuses_ends_unused(pod: Pod, status: int) -> None:
    async with replica(None, tasks=[Reply(status=status)]) as surface:
        assert await idle(pod, surface) == 0
    assert pod.termination_message == {"type": "unused"}


async def test_an_idle_pod_ends_unused_after_its_idle_ttl(pod: Pod) -> None:
    async with replica(None, tasks=[ASK_AGAIN]) as surface:
        assert await idle(pod, surface, ttl=0.05) == 0
    assert pod.termination_message == {"type": "unused"}


async def test_an_idle_pod_ends_unused_when_no_replica_answers_for_long(pod: Pod) -> None:
    async with replica(None, tasks=[Reply(status=404)]) as surface:
        assert await idle(pod, surface, timeouts=replace(QUICK, idle=0.05)) == 0
    assert pod.termination_message == {"type": "unused"}


async def test_an_idle_pod_that_is_stopped_ends_unused(pod: Pod) -> None:
    pod.stop.set()
    async with replica(None, tasks=[Reply(silent=True)]) as surface:
        assert await idle(pod, surface) == 0
    assert pod.termination_message == {"type": "unused"}


def test_the_variables_of_an_idle_pod_name_its_instance_and_its_idle_ttl() -> None:
    environ = {
        "SYMPOZIUM_INSTANCE": "demo",
        "SYMPOZIUM_IDLE_TTL": "600",
        "SYMPOZIUM_RUNS_URLS": "http://a:8081,http://b:8081",
    }
    found = AgentSettings.of(environ)
    assert (found.run, found.instance, found.idle_ttl) == (None, "demo", 600.0)
    with pytest.raises(SystemExit, match="SYMPOZIUM_INSTANCE"):
        AgentSettings.of(environ | {"SYMPOZIUM_INSTANCE": ""})


async def test_an_idle_pod_that_is_to_go_when_its_task_arrives_gives_the_run_back(
    pod: Pod, model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    claimed_task = RunsClient.claimed_task

    def at_the_same_time(client: RunsClient, instance: str, ttl: float, scope: Scope) -> Task:
        task = claimed_task(client, instance, ttl, scope)
        pod.stop.set()
        return task

    asked = list[Request]()
    model.hear = asked.append
    monkeypatch.setattr(RunsClient, "claimed_task", at_the_same_time)
    async with replica(task_for(model)) as surface:
        surface.releases = Reply()
        assert await idle(pod, surface) == 0
    assert pod.termination_message == {"type": "unused"}
    assert asked == []


async def test_an_idle_pod_that_is_to_go_while_it_connects_to_its_model_gives_the_run_back(
    pod: Pod, model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    def slow(_: Url, __: float, scope: Scope) -> Connection:
        pod.stop.set()
        scope.sleep()
        raise AssertionError

    monkeypatch.setattr("sympozium_agent.transport.connect", slow)
    async with replica(task_for(model)) as surface:
        surface.releases = Reply()
        assert await idle(pod, surface) == 0
    assert pod.termination_message == {"type": "unused"}


@pytest.mark.parametrize(
    ("reply", "released"),
    [
        (Reply(), True),
        (Reply(status=409), False),
        (Reply(status=403), True),
        (Reply(status=404), True),
        (Reply(status=502), True),
        (Reply(status=503), True),
        (Reply(silent=True), True),
        (Reply(status=None), True),
    ],
    ids=["released", "recorded as this pod's", "another pod's", "gone", "502", "503", "silence", "lost"],
)
async def test_an_idle_pod_that_is_to_go_tells_no_end_of_a_run_that_may_be_given_back(
    pod: Pod, model: Model, monkeypatch: pytest.MonkeyPatch, reply: Reply, released: bool
) -> None:
    _stop_before_the_model_is_asked(pod, monkeypatch)
    async with replica(task_for(model)) as surface:
        surface.releases = reply
        is_answer = reply.status in (200, 403, 404, 409) and not reply.silent
        assert await idle(pod, surface, timeouts=QUICK if is_answer else IMPATIENT) == (0 if released else 1)
    assert pod.termination_message == ({"type": "unused"} if released else None)
    records = (record for delivery in surface.deliveries for record in delivery.records)
    ends = [record["error"]["type"] for record in records if record["type"] != "started"]
    assert ends == ([] if released else ["terminated"])


@pytest.mark.parametrize("reply", [Reply(status=503), Reply(status=None)], ids=["503", "lost"])
async def test_an_idle_pod_gives_its_run_back_at_another_replica_if_the_first_cannot_say(
    pod: Pod, model: Model, monkeypatch: pytest.MonkeyPatch, reply: Reply
) -> None:
    _stop_before_the_model_is_asked(pod, monkeypatch)
    async with replica(None) as callers:
        callers.releases = reply
        task = task_for(model)
        task["surface"] = callers.url
        async with replica(task) as service:
            service.releases = Reply()
            assert await idle(pod, service) == 0
    assert (callers.release_requests, service.release_requests) == (1, 1)


def _stop_before_the_model_is_asked(pod: Pod, monkeypatch: pytest.MonkeyPatch) -> None:
    def stopped(_: Driver, __: Task, scope: Scope) -> None:
        pod.stop.set()
        scope.sleep()

    monkeypatch.setattr("sympozium_agent.driver.Driver._finish", stopped)
