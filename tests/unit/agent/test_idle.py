"""An idle pod: it waits for any run of its instance, does one, and says so if it had none."""

from dataclasses import replace

import pytest
from tests.fakes.model import Model
from tests.unit.agent.conftest import QUICK, Pod, task_for
from tests.unit.agent.surface import Reply, Surface, replica

from sympozium_agent.agent import Agent
from sympozium_agent.agent_settings import AgentSettings, Timeouts

ASK_AGAIN = Reply(status=204)


async def idle(pod: Pod, *surfaces: Surface, ttl: float = 60, timeouts: Timeouts = QUICK) -> int:
    """The exit code of an idle agent."""
    settings = replace(pod.settings(*(surface.url for surface in surfaces)), run=None, instance="demo", idle_ttl=ttl)
    return await Agent(settings, pod.stop, environ=pod.environ, timeouts=timeouts).run()


async def test_it_asks_until_it_is_given_a_run_and_does_that_one(pod: Pod, model: Model) -> None:
    async with replica(task_for(model), tasks=[ASK_AGAIN, ASK_AGAIN, Reply()]) as surface:
        assert await idle(pod, surface) == 0
    assert surface.targets == ["/instances/demo/task"] * 3
    assert surface.end["type"] == "done"
    assert pod.termination_message is None


async def test_it_brings_the_records_to_the_replica_that_has_the_caller(pod: Pod, model: Model) -> None:
    async with replica(None) as callers:
        task = task_for(model)
        task["surface"] = callers.url
        async with replica(task) as service:
            assert await idle(pod, service) == 0
        assert service.deliveries == []
        assert callers.end["type"] == "done"


async def test_it_uses_the_key_as_it_is_when_the_run_comes(pod: Pod, model: Model) -> None:
    async with replica(task_for(model, "echo"), tasks=[ASK_AGAIN, Reply(status=503), Reply()]) as surface:
        taken = surface._take

        async def rotated(*args: object) -> Reply:
            pod.key_file.write_text("sk-new")
            return await taken(*args)  # type: ignore[arg-type]

        surface._take = rotated  # type: ignore[assignment,method-assign]
        assert await idle(pod, surface) == 0
    assert "Bearer sk-new" in str(surface.end)


@pytest.mark.parametrize("status", [None, 503], ids=["lost", "no task"])
async def test_after_an_answer_that_tells_nothing_it_says_so_until_somebody_knows(
    pod: Pod, model: Model, status: int | None
) -> None:
    tasks = [Reply(status=status), Reply(status=503), ASK_AGAIN, Reply()]
    async with replica(task_for(model), tasks=tasks) as surface:
        assert await idle(pod, surface) == 0
    asked, lost = "/instances/demo/task", "/instances/demo/task?lost=1"
    assert surface.targets == [asked, lost, lost, asked]


@pytest.mark.parametrize("status", [401, 403, 410])
async def test_it_ends_when_nobody_wants_it(pod: Pod, status: int) -> None:
    async with replica(None, tasks=[Reply(status=status)]) as surface:
        assert await idle(pod, surface) == 0
    assert pod.termination_message == {"type": "unused"}


async def test_it_ends_when_its_time_is_over(pod: Pod) -> None:
    async with replica(None, tasks=[ASK_AGAIN]) as surface:
        assert await idle(pod, surface, ttl=0.05) == 0
    assert pod.termination_message == {"type": "unused"}


async def test_it_ends_where_no_surface_has_answered_for_long(pod: Pod) -> None:
    async with replica(None, tasks=[Reply(status=404)]) as surface:
        assert await idle(pod, surface, timeouts=replace(QUICK, idle=0.05)) == 0
    assert pod.termination_message == {"type": "unused"}


async def test_it_ends_unused_when_it_is_told_to_go(pod: Pod) -> None:
    pod.stop.set()
    async with replica(None, tasks=[Reply(silent=True)]) as surface:
        assert await idle(pod, surface) == 0
    assert pod.termination_message == {"type": "unused"}


def test_its_variables_name_its_instance_and_its_time() -> None:
    environ = {
        "SYMPOZIUM_INSTANCE": "demo",
        "SYMPOZIUM_IDLE_TTL": "600",
        "SYMPOZIUM_RUNS_URLS": "http://a:8081,http://b:8081",
    }
    found = AgentSettings.of(environ)
    assert (found.run, found.instance, found.idle_ttl) == (None, "demo", 600.0)
    with pytest.raises(SystemExit, match="SYMPOZIUM_INSTANCE"):
        AgentSettings.of(environ | {"SYMPOZIUM_INSTANCE": ""})
