"""Deaths at every step between an idle pod's poll and its run's end: the run is done once, or ends without having been done twice.

A replica is a process and dies of SIGKILL; its caller, where it has one, comes again with its Idempotency-Key, as clients do.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx2
import pytest
from tests.fakes.model import Model
from tests.fakes.node import Pod
from tests.fakes.replica import KEY
from tests.fakes.replicas import Replica
from tests.integration.conftest import eventually, warm_instance
from tests.integration.warm_cluster import Cluster, holding, running

from sympozium_agent.driver import Driver
from sympozium_agent.waiting import Event, Scope
from sympozium_api import installed_skills, names
from sympozium_api.agent_records import End, Task
from sympozium_api.client import ApiUnavailable
from sympozium_api.installed_skills import InstalledSkill
from sympozium_api.resources import CONFIG_MAPS, JOBS, RUNS, Object


@dataclass
class Scene:
    """Two replicas; an idle pod polls the first, which also has the caller."""

    cluster: Cluster
    first: Replica
    second: Replica
    pod: Pod

    def ask(self) -> "asyncio.Task[httpx2.Response]":
        """Send the caller's request."""
        return asyncio.create_task(self.cluster.chat("hello", at=self.first))

    async def dies(self, asking: "asyncio.Task[httpx2.Response]") -> None:
        """Kill the first replica, and wait until its caller notices."""
        self.cluster.replicas.kill(self.first)
        with pytest.raises(httpx2.TransportError):
            await asking

    async def comes_again(self) -> httpx2.Response:
        """Repeat the caller's request at the second replica."""
        return await self.cluster.chat("hello", at=self.second)

    async def is_answered_warm_and_once(self) -> None:
        """Check that the repeated request is answered by the pod, with one call of the model."""
        answer = await self.comes_again()
        assert answer.status_code == 200, answer.text
        await self.was_done_warm_and_once()

    async def was_done_warm_and_once(self) -> None:
        """Check that the pod did the run, with one call of the model."""
        status = await self.cluster.ended()
        assert (status["phase"], status.get("start"), status["podName"]) == ("Succeeded", "warm", self.pod.name)
        assert self.cluster.pods_asked("hello") == [self.pod.name]
        assert await self.pod.task == 0

    async def is_answered_cold_and_once(self, answer: httpx2.Response) -> None:
        """Check that a pod that the operator created for the run answered, and that the idle pod did nothing."""
        assert answer.status_code == 200, answer.text
        status = await self.cluster.ended()
        assert (status["phase"], status["start"]) == ("Succeeded", "cold")
        assert self.cluster.pods_asked("hello") == [status["podName"]] != [self.pod.name]

    async def is_lost(self, answer: httpx2.Response, *, times_asked: int) -> None:
        """Check that the caller gets the error `lost`, and that the run is never started again."""
        assert (answer.status_code, answer.json()["error"]["code"]) == (502, "lost")
        assert (await self.comes_again()).status_code == 502
        assert self.cluster.kubernetes.names(JOBS) == [self.pod.job]
        assert self.cluster.pods_asked("hello") == [self.pod.name] * times_asked

    async def gone_from(self, replica: Replica) -> None:
        """Wait until a replica has noticed that its pod left."""
        async with asyncio.timeout(60):
            while await replica.metric("sympozium_pod_requests_in_flight"):
                await asyncio.sleep(0.01)


@pytest.fixture
def script() -> str:
    return "instant"


@pytest.fixture
def packs() -> list[str]:
    """The instance's skills."""
    return []


@pytest.fixture
async def cluster(tmp_path: Path, model: Model, script: str, packs: list[str]) -> AsyncIterator[Cluster]:
    named = [{"skillPackRef": name} for name in ("web-endpoint", *packs)]
    async with running(tmp_path, model, warm_instance(model, script, skills=named)) as found:
        installed = installed_skills.render([InstalledSkill(name=name, content="Be polite.") for name in packs])
        about = {"name": names.installed_skills("demo"), "namespace": "default"}
        data = {installed_skills.DOCUMENT: installed}
        found.kubernetes.put({"apiVersion": "v1", "kind": "ConfigMap", "metadata": about, "data": data})
        yield found


@pytest.fixture
async def scene(cluster: Cluster) -> Scene:
    first = await cluster.replicas.start()
    pod = await cluster.idle_pod()
    return Scene(cluster, first, await cluster.replicas.start(), pod)


@pytest.fixture
async def leaving(cluster: Cluster) -> Scene:
    """One replica, and an idle pod that is a process and gets signals."""
    first = await cluster.replicas.start()
    return Scene(cluster, first, first, await cluster.idle_process())


class TestReplicaDies:
    """The pod polls, works and delivers at another replica, and a repeated request gets the same run's answer."""

    async def test_a_replica_dies_while_it_holds_an_idle_pods_poll(self, scene: Scene) -> None:
        scene.cluster.replicas.kill(scene.first)
        await scene.cluster.idle(1, scene.second)
        await scene.is_answered_warm_and_once()

    async def test_a_replica_dies_before_the_run_reaches_the_api_server(self, scene: Scene) -> None:
        async with holding(scene.cluster.kubernetes, "create", RUNS) as held:
            asking = scene.ask()
            await held.comes()
            await scene.dies(asking)
            held.drop()
        await scene.cluster.idle(1, scene.second)
        assert scene.cluster.kubernetes.names(RUNS) == []
        await scene.is_answered_warm_and_once()

    @pytest.mark.parametrize("done", [True, False], ids=["made", "made after its death"])
    async def test_a_replica_dies_before_it_learns_that_the_run_was_created(self, scene: Scene, *, done: bool) -> None:
        async with holding(scene.cluster.kubernetes, "create", RUNS, done=done) as held:
            asking = scene.ask()
            await held.comes()
            await scene.dies(asking)
        await scene.was_done_warm_and_once()
        await scene.is_answered_warm_and_once()

    @pytest.mark.parametrize("packs", [["manners"]])
    async def test_a_replica_dies_before_it_sends_the_polls_answer(self, scene: Scene) -> None:
        async with holding(scene.cluster.kubernetes, "get", CONFIG_MAPS) as held:  # the task is put together
            asking = scene.ask()
            await held.comes()
            await scene.dies(asking)
        await scene.was_done_warm_and_once()
        await scene.is_answered_warm_and_once()

    async def test_a_replica_dies_while_the_polls_answer_is_on_its_way(self, scene: Scene) -> None:
        async with losing_the_task(scene, lambda: scene.cluster.replicas.kill(scene.first)):
            asking = scene.ask()
        with pytest.raises(httpx2.TransportError):
            await asking
        await scene.was_done_warm_and_once()
        await scene.is_answered_warm_and_once()

    @pytest.mark.parametrize("script", ["slow:4:100"])
    async def test_a_replica_dies_while_the_pod_works(self, scene: Scene) -> None:
        asking = scene.ask()
        await eventually(lambda: scene.cluster.pods_asked("hello") != [])
        await scene.dies(asking)
        await scene.is_answered_warm_and_once()

    @pytest.mark.parametrize("done", [True, False], ids=["stored", "not stored"])
    async def test_a_replica_dies_before_it_learns_that_the_end_was_stored(self, scene: Scene, *, done: bool) -> None:
        async with holding(scene.cluster.kubernetes, "patch", RUNS, done=done) as held:
            asking = scene.ask()
            await held.comes()
            assert (await asking).status_code == 200
            scene.cluster.replicas.kill(scene.first)
            if not done:
                held.drop()
        await scene.was_done_warm_and_once()
        await scene.is_answered_warm_and_once()

    @pytest.mark.parametrize("done", [True, False], ids=["written", "written after its death"])
    async def test_a_replica_dies_before_it_learns_that_an_applied_run_is_the_pods(
        self, scene: Scene, *, done: bool
    ) -> None:
        async with holding(scene.cluster.kubernetes, "patch", RUNS, done=done) as held:
            scene.cluster.kubernetes.put(applied_run())
            await held.comes()
            scene.cluster.replicas.kill(scene.first)
        await scene.was_done_warm_and_once()

    async def test_a_replica_dies_when_the_pod_has_just_left_for_good(self, scene: Scene) -> None:
        """Only the pod itself can show that the run must start cold: it ended unused."""
        async with holding(scene.cluster.kubernetes, "create", RUNS) as held:
            asking = scene.ask()
            await held.comes()
            scene.pod.terminate()
            assert await scene.pod.task == 0
            await scene.dies(asking)
        await scene.is_answered_cold_and_once(await scene.comes_again())


class TestAnswerDoesNotReachThePod:
    """All replicas live, and the run is still the pod's."""

    async def test_a_polls_answer_is_lost(self, scene: Scene) -> None:
        async with losing_the_task(scene):
            asking = scene.ask()
        assert (await asking).status_code == 200
        await scene.was_done_warm_and_once()

    @pytest.mark.parametrize("packs", [["manners"]])
    async def test_a_task_cannot_be_built_at_the_moment(self, scene: Scene) -> None:
        scene.cluster.kubernetes.refuse("get", CONFIG_MAPS, ApiUnavailable("away"), ApiUnavailable("away"))
        assert (await scene.ask()).status_code == 200
        await scene.was_done_warm_and_once()


class TestPodDies:
    async def test_a_pod_that_is_to_go_before_it_asks_its_model_gives_the_run_back(
        self, scene: Scene, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        run, has_task = Driver.run, Event()

        def first_one_waits(driver: Driver, task: Task, scope: Scope) -> End:
            if not has_task.is_set():
                has_task.set()
                scope.sleep()
            return run(driver, task, scope)

        monkeypatch.setattr(Driver, "run", first_one_waits)
        asking = scene.ask()
        await eventually(has_task.is_set)
        scene.pod.terminate()
        await scene.is_answered_cold_and_once(await asking)
        assert await scene.pod.task == 0

    @pytest.mark.parametrize("answer_comes", ["after the signal", "never"])
    async def test_a_pod_that_is_to_go_while_its_task_is_on_its_way_leaves_the_run_to_another(
        self, leaving: Scene, answer_comes: str
    ) -> None:
        """Its process closes the poll at once, and says as its last word that it has begun nothing."""
        gate = asyncio.Event()
        on_its_way = leaving.cluster.surface.hold("/instances/demo/task", gate)
        asking = leaving.ask()
        async with asyncio.timeout(60):
            await on_its_way.wait()
        leaving.pod.terminate()
        if answer_comes == "after the signal":
            gate.set()
        assert await leaving.pod.task == 0
        assert "unused" in leaving.pod.last_words
        await leaving.is_answered_cold_and_once(await asking)

    async def test_a_pod_that_is_to_go_closes_its_poll_and_is_given_no_run(self, leaving: Scene) -> None:
        leaving.pod.terminate()
        await leaving.cluster.idle(0)
        answer = await leaving.ask()
        assert "claim" not in leaving.cluster.run()["spec"]
        await leaving.is_answered_cold_and_once(answer)

    async def test_a_pod_dies_while_it_is_idle(self, scene: Scene) -> None:
        scene.pod.kill()
        await scene.cluster.idle(0)
        answer = await scene.ask()
        assert "claim" not in scene.cluster.run()["spec"]
        await scene.is_answered_cold_and_once(answer)

    async def test_a_pod_dies_when_it_is_claimed(self, scene: Scene) -> None:
        scene.cluster.node.reports = False  # the replica hears of it first: it held the connection
        async with holding(scene.cluster.kubernetes, "create", RUNS) as held:
            asking = scene.ask()
            await held.comes()
            scene.pod.kill()
            await scene.gone_from(scene.first)
        await eventually(lambda: scene.cluster.status().get("start") == "cold")
        scene.cluster.node.reports = True
        await scene.is_answered_cold_and_once(await asking)
        assert scene.cluster.run()["spec"]["claim"]["podName"] == scene.pod.name

    async def test_a_pod_dies_before_it_reads_its_task(self, scene: Scene) -> None:
        """It is unknown whether it had read the task."""
        async with losing_the_task(scene, scene.pod.kill):
            asking = scene.ask()
        await scene.is_lost(await asking, times_asked=0)

    @pytest.mark.parametrize("script", ["slow:20:100"])
    async def test_a_pod_dies_while_it_works(self, scene: Scene) -> None:
        asking = scene.ask()
        await eventually(lambda: scene.cluster.pods_asked("hello") != [])
        scene.pod.kill()
        await scene.is_lost(await asking, times_asked=1)


class TestCallerLeaves:
    async def test_a_caller_leaves_in_the_middle_of_its_request(self, scene: Scene) -> None:
        """No run was created for the caller."""
        reader, writer = await asyncio.open_connection("127.0.0.1", int(scene.first.url.rpartition(":")[2]))
        head = f"authorization: Bearer {KEY}\r\ncontent-type: application/json\r\ncontent-length: 50\r\nhost: x"
        writer.write(f"POST /v1/chat/completions HTTP/1.1\r\n{head}\r\n\r\n{{".encode())
        await writer.drain()
        writer.close()
        await reader.read()
        assert scene.cluster.kubernetes.names(RUNS) == []
        assert (await scene.ask()).status_code == 200
        await scene.was_done_warm_and_once()

    async def test_a_caller_leaves_before_the_run_is_created(self, scene: Scene) -> None:
        """The run is cancelled with the pod that it names, and the next caller gets another pod."""
        async with holding(scene.cluster.kubernetes, "create", RUNS) as held:
            asking = scene.ask()
            await held.comes()
            asking.cancel()
            await asyncio.gather(asking, return_exceptions=True)
        status = await scene.cluster.ended()
        assert status["phase"] in ("Cancelled", "Succeeded")
        assert scene.cluster.pods_asked("hello") in ([], [scene.pod.name])
        await eventually(scene.pod.task.done)


def applied_run() -> Object:
    about = {"name": "r1", "namespace": "default"}
    spec = {"agentRef": "demo", "mode": "task", "task": "hello"}
    return {"apiVersion": names.API_VERSION, "kind": "AgentRun", "metadata": about, "spec": spec}


@asynccontextmanager
async def losing_the_task(scene: Scene, then: Callable[[], object] = lambda: None) -> AsyncIterator[None]:
    """Lose the answer that carries the pod's task; the body of this context runs in the same moment."""
    service = scene.cluster.surface
    service.lose("/instances/demo/task", then)
    yield
    await eventually(lambda: service.lost == 1)
