"""Runs with an Idempotency-Key whose callers leave and come back, at one replica or at another."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
import pytest
from tests.fakes.clock import FakeClock
from tests.fakes.kubernetes import FakeKubernetes
from tests.fakes.pod import FakePod, TokenIssuer, created_run
from tests.integration.conftest import KEY, assembled, eventually, instance

from sympozium_api import names
from sympozium_api.instance import SympoziumInstance
from sympozium_api.resources import INSTANCES, RUNS, Object
from sympozium_runs.run_request import run_name
from sympozium_runs.runs import Runs
from sympozium_webproxy.settings import WebProxySettings

GRACE = 0.5
EXPIRES = names.ANNOTATION_KEY_EXPIRES
BODY = {"messages": [{"role": "user", "content": "hello"}]}
CANCELLED = {"phase": "Cancelled", "error": {"type": "cancelled", "message": "cancelled", "httpStatus": 499}}


@dataclass
class World:
    """Two replicas, and the callers that wait at them."""

    kubernetes: FakeKubernetes
    issuer: TokenIssuer
    clients: list[httpx2.AsyncClient]
    surfaces: list[str]
    runs: list[Runs]
    clock: FakeClock
    callers: list[asyncio.Task[httpx2.Response]] = field(default_factory=list)

    def ask(self, replica: int, body: Any = BODY) -> asyncio.Task[httpx2.Response]:
        headers = {"Authorization": f"Bearer {KEY}", "Idempotency-Key": "order-4711"}
        asked = self.clients[replica].post("/v1/chat/completions", json=body, headers=headers)
        caller = asyncio.create_task(asked)
        self.callers.append(caller)
        return caller

    def pod(self, run: str) -> FakePod:
        return FakePod(self.kubernetes.object(RUNS, run), self.issuer, self.surfaces[0])

    async def waits(self, run: str, replica: int = 0) -> None:
        """Wait until a caller waits for the run at this replica."""
        await eventually(lambda: self.runs[replica]._broker.has_caller(("default", run)))

    async def leave(self, run: str, caller: int = 0, replica: int = 0) -> None:
        """Let a caller leave that was the last one at its replica, and wait until the replica knows."""
        self.callers[caller].cancel()
        await eventually(lambda: not self.runs[replica]._broker.has_caller(("default", run)))

    async def end_grace(self, run: str, replica: int = 0) -> None:
        """Let the grace period run out, and what follows be done."""
        abandoned = self.runs[replica]._abandoned
        abandoned._timers["default", run].cancel()
        abandoned._expire(("default", run))
        await eventually(lambda: not abandoned._writes._tasks)

    def be_patient(self) -> None:
        """Let grace periods end only when the test says so."""
        for runs in self.runs:
            runs._abandoned._grace_seconds = 600

    def is_cancelled(self, run: str) -> bool:
        return self.kubernetes.object(RUNS, run)["spec"].get("cancel") is True

    def waiting_at(self, run: str) -> str | None:
        found: str | None = self.kubernetes.object(RUNS, run)["metadata"]["annotations"].get(
            names.ANNOTATION_WAITING_AT
        )
        return found

    def end_as_cancelled(self, run: str) -> None:
        """Do what the operator does with a cancelled run."""
        self.kubernetes.put({**self.kubernetes.object(RUNS, run), "status": CANCELLED})

    def cancel(self, run: str) -> Object:
        """Cancel a run as kubectl does."""
        found = self.kubernetes.object(RUNS, run)
        return self.kubernetes.put({**found, "spec": found["spec"] | {"cancel": True}})


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    (tmp_path / "api-key").write_text(KEY)
    kubernetes = FakeKubernetes()
    issuer = TokenIssuer(kubernetes)
    kubernetes.put(instance())
    clock = FakeClock()
    async with AsyncExitStack() as stack:
        replicas = [
            await stack.enter_async_context(
                assembled(
                    kubernetes,
                    WebProxySettings("default", "demo", f"10.0.0.{number}", api_keys=tmp_path, key_grace_seconds=GRACE),
                    clock,
                )
            )
            for number in range(2)
        ]
        contexts, _, surfaces, clients = zip(*replicas, strict=True)
        made = World(kubernetes, issuer, [*clients], [*surfaces], [context.runs for context in contexts], clock)
        yield made
        for caller in made.callers:
            caller.cancel()
        await asyncio.gather(*made.callers, return_exceptions=True)


async def made_run(world: World) -> str:
    name: str = (await created_run(world.kubernetes))["metadata"]["name"]
    return name


async def test_a_caller_that_comes_back_in_time_gets_the_answer(world: World) -> None:
    world.ask(0)
    run = await made_run(world)
    world.be_patient()
    await world.waits(run)
    await world.leave(run)
    again = world.ask(0)
    await world.waits(run)
    await world.end_grace(run)
    assert not world.is_cancelled(run)
    await world.pod(run).answer("Hello")
    assert (await again).json()["choices"][0]["message"]["content"] == "Hello"
    assert world.kubernetes.names(RUNS) == [run]
    assert [write for write in world.kubernetes.writes if write[1] == "agentruns"] == [("create", "agentruns", run)]


async def test_a_run_that_nobody_comes_back_for_is_cancelled_after_the_grace_period(world: World) -> None:
    world.ask(0)
    run = await made_run(world)
    await world.waits(run)
    left = asyncio.get_running_loop().time()
    world.callers[0].cancel()
    await eventually(lambda: world.is_cancelled(run))
    assert asyncio.get_running_loop().time() - left >= GRACE


async def test_a_shutdown_cancels_the_runs_that_nobody_waits_for_before_the_process_ends(world: World) -> None:
    world.ask(0)
    run = await made_run(world)
    world.be_patient()
    await world.waits(run)
    await world.leave(run)
    world.runs[0].drain()
    await world.runs[0].finish_writes()
    assert world.is_cancelled(run)


async def test_a_shutdown_leaves_a_run_to_the_callers_that_wait_here_and_elsewhere(world: World) -> None:
    world.ask(0)
    run = await made_run(world)
    world.ask(1)
    await eventually(lambda: world.waiting_at(run) is not None)
    for replica in (1, 0):
        world.runs[replica].drain()
        await world.runs[replica].finish_writes()
        assert not world.is_cancelled(run)
    world.be_patient()
    await world.leave(run, caller=1, replica=1)
    world.runs[1].drain()
    await world.runs[1].finish_writes()
    assert world.waiting_at(run) == "http://10.0.0.0:8081"
    assert not world.is_cancelled(run)


async def test_the_grace_period_begins_with_the_last_caller_that_leaves(world: World) -> None:
    world.ask(0)
    run = await made_run(world)
    world.be_patient()
    ends = list[float]()
    for _ in range(3):
        await world.waits(run)
        await world.leave(run, caller=-1)
        ends.append(world.runs[0]._abandoned._timers["default", run].when())
        world.ask(0)
    assert ends == sorted(set(ends)), "each that leaves begins it anew"
    await world.waits(run)
    await world.end_grace(run)
    assert not world.is_cancelled(run)


@pytest.mark.parametrize("leaves", [0, 1])
async def test_a_caller_that_waits_at_another_replica_keeps_the_run(world: World, leaves: int) -> None:
    world.ask(0)
    run = await made_run(world)
    world.ask(1)
    await eventually(lambda: world.waiting_at(run) is not None)
    world.callers[leaves].cancel()
    await eventually(lambda: world.waiting_at(run) == f"http://10.0.0.{1 - leaves}:8081")
    assert not world.is_cancelled(run)
    await world.pod(run).answer("Hello")
    assert (await world.callers[1 - leaves]).status_code == 200


async def test_a_run_that_callers_left_at_every_replica_is_cancelled(world: World) -> None:
    world.ask(0)
    run = await made_run(world)
    world.ask(1)
    await eventually(lambda: world.waiting_at(run) is not None)
    for caller in world.callers:
        caller.cancel()
    await eventually(lambda: world.is_cancelled(run))


class SlowCall:
    """Holds back one call of the API server for a run after the grace period: its answer, or the call itself."""

    def __init__(self, kubernetes: FakeKubernetes, verb: str, *, early: bool) -> None:
        self.arrived, self.go_on = asyncio.Event(), asyncio.Event()
        self._call = getattr(kubernetes, verb)
        self._early = early
        self.passed = 0
        """Later calls for runs that were done."""
        setattr(kubernetes, verb, self)

    async def __call__(self, *arguments: Any, **options: Any) -> Any:
        if self.arrived.is_set() or arguments[0] is not RUNS:
            answer = await self._call(*arguments, **options)
            self.passed += arguments[0] is RUNS
            return answer
        self.arrived.set()
        if self._early:
            await self.go_on.wait()
        answer = await self._call(*arguments, **options)
        await self.go_on.wait()
        return answer


@pytest.mark.parametrize("verb", ["get", "patch"])
@pytest.mark.parametrize("returns", ["first", "again"])
async def test_a_caller_that_comes_back_during_the_cancel_keeps_the_run(world: World, verb: str, returns: str) -> None:
    world.ask(0)
    run = await made_run(world)
    if returns == "again":  # the annotation names this replica already, so the same value would change nothing
        found = world.kubernetes.object(RUNS, run)
        annotations = found["metadata"]["annotations"] | {names.ANNOTATION_WAITING_AT: "http://10.0.0.0:8081"}
        world.kubernetes.put({**found, "metadata": found["metadata"] | {"annotations": annotations}})
    await world.waits(run)
    slow = SlowCall(world.kubernetes, verb, early=verb == "patch")
    world.callers[0].cancel()
    async with asyncio.timeout(60):
        await slow.arrived.wait()
    back = world.ask(0)
    await world.waits(run)
    await eventually(lambda: slow.passed > 0 or verb == "get")
    slow.go_on.set()
    await eventually(lambda: not world.runs[0]._abandoned._writes._tasks)
    assert not world.is_cancelled(run)
    await world.pod(run).answer("Hello")
    assert (await back).json()["choices"][0]["message"]["content"] == "Hello"


async def test_a_caller_that_comes_back_while_its_replica_leaves_the_run_to_others_is_named(world: World) -> None:
    world.ask(0)
    run = await made_run(world)
    world.ask(1)
    await eventually(lambda: world.waiting_at(run) is not None)
    slow = SlowCall(world.kubernetes, "patch", early=True)
    world.callers[0].cancel()
    async with asyncio.timeout(60):
        await slow.arrived.wait()
    world.ask(0)
    await eventually(lambda: slow.passed > 0)
    slow.go_on.set()
    world.callers[1].cancel()
    await asyncio.sleep(3 * GRACE)
    assert not world.is_cancelled(run)


async def test_a_cancelled_runs_key_makes_a_new_run_that_every_replica_finds(world: World) -> None:
    world.ask(0)
    first = await made_run(world)
    world.cancel(first)
    world.end_as_cancelled(first)
    assert (await world.callers[0]).status_code == 499

    again = [world.ask(0), world.ask(1)]
    second = (await created_run(world.kubernetes, among=2))["metadata"]["name"]
    await asyncio.sleep(0.2)
    await world.pod(second).answer("Hello")
    answers = await asyncio.gather(*again, world.ask(1))

    assert [answer.json()["choices"][0]["message"]["content"] for answer in answers] == ["Hello"] * 3
    assert {answer.headers["x-sympozium-run"] for answer in answers} == {second}
    assert world.kubernetes.names(RUNS) == [first, second]


async def test_a_retry_after_many_cancels_costs_as_much_as_after_one(world: World) -> None:
    names_so_far = list[str]()
    for cancels in range(1, 31):
        asking = world.ask(cancels % 2)
        names_so_far.append((await created_run(world.kubernetes, among=cancels))["metadata"]["name"])
        world.cancel(names_so_far[-1])
        world.end_as_cancelled(names_so_far[-1])
        assert (await asking).status_code == 499
    calls = len(world.kubernetes.writes) + len(world.kubernetes.reads)
    again = world.ask(0)
    await created_run(world.kubernetes, among=31)
    assert len(world.kubernetes.writes) + len(world.kubernetes.reads) - calls <= 6
    again.cancel()


async def test_a_keys_later_runs_are_found_as_long_as_the_key_stands(world: World) -> None:
    """The first run leads to them, so the operator must not delete it before (``sympozium_api.retention``)."""
    world.ask(0)
    first = await made_run(world)
    world.cancel(first)
    world.end_as_cancelled(first)
    world.clock.advance(3600)
    again = world.ask(1)
    second = (await created_run(world.kubernetes, among=2))["metadata"]["name"]
    await asyncio.sleep(0.05)
    await world.pod(second).answer("Hello")
    await again
    expires = [world.kubernetes.object(RUNS, run)["metadata"]["annotations"][EXPIRES] for run in (first, second)]
    assert expires[0] == expires[1]


async def test_a_run_that_follows_late_keeps_the_first_run_until_it_must_have_ended(world: World) -> None:
    """Else a request after the first run's deletion would make a second run while the other one is open."""
    world.ask(0)
    first = await made_run(world)
    world.cancel(first)
    world.end_as_cancelled(first)
    world.clock.advance(24 * 3600 - 60)
    again = world.ask(1)
    second = (await created_run(world.kubernetes, among=2))["metadata"]["name"]
    expires = [world.kubernetes.object(RUNS, run)["metadata"]["annotations"][EXPIRES] for run in (first, second)]
    assert expires == ["2026-01-02T00:19:00Z"] * 2, "ten minutes in the queue, and ten for the run"
    followed = world.kubernetes.object(RUNS, second)["metadata"]["annotations"][names.ANNOTATION_FIRST_ATTEMPT]
    assert followed == first, "the operator keeps the first run while this one is open"
    again.cancel()


async def test_a_recorded_run_that_was_never_made_is_made_by_the_next_caller(world: World) -> None:
    """A replica may die between the two writes."""
    world.ask(0)
    first = await made_run(world)
    world.cancel(first)
    world.end_as_cancelled(first)
    found = world.kubernetes.object(RUNS, first)
    noted = {"annotations": found["metadata"]["annotations"] | {names.ANNOTATION_NEWEST_ATTEMPT: "7"}}
    world.kubernetes.put({**found, "metadata": found["metadata"] | noted})
    again = [world.ask(0), world.ask(1)]
    seventh = (await created_run(world.kubernetes, among=2))["metadata"]["name"]
    own = SympoziumInstance.model_validate(world.kubernetes.object(INSTANCES, "demo"))
    assert seventh == run_name(own, "api-key", "order-4711", 7)
    await asyncio.sleep(0.1)
    await world.pod(seventh).answer("Hello")
    assert {(await caller).headers["x-sympozium-run"] for caller in again} == {seventh}


async def test_a_retry_during_a_cancel_waits_for_its_end_and_makes_a_new_run(world: World) -> None:
    world.ask(0)
    first = await made_run(world)
    world.cancel(first)
    again = world.ask(1)
    await asyncio.sleep(0.2)
    assert world.kubernetes.names(RUNS) == [first]
    world.end_as_cancelled(first)
    second = (await created_run(world.kubernetes, among=2))["metadata"]["name"]
    await world.pod(second).answer("Hello")
    assert (await again).status_code == 200


async def test_a_run_that_ended_well_in_spite_of_its_cancel_is_the_keys_answer(world: World) -> None:
    world.ask(0)
    run = await made_run(world)
    world.cancel(run)
    again = world.ask(1)
    await asyncio.sleep(0.1)
    status = {"phase": "Succeeded", "result": "Hello", "finishReason": "stop"}
    world.kubernetes.put({**world.kubernetes.object(RUNS, run), "status": status})
    assert (await again).status_code == 200
    assert world.kubernetes.names(RUNS) == [run]


async def test_a_cancelled_runs_key_with_another_body_is_refused(world: World) -> None:
    world.ask(0)
    run = await made_run(world)
    world.cancel(run)
    world.end_as_cancelled(run)
    other = await world.ask(0, BODY | {"temperature": 0.5})
    assert (other.status_code, other.json()["error"]["code"]) == (422, "idempotency_key_reused")
