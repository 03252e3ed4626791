"""Many claims, while pods and replicas are killed at any moment: no pod works on two runs, no run is done twice, none is lost.

The suite makes 500 claims. `make soak` makes thousands: SYMPOZIUM_TEST_CLAIMS sets the number.
"""

import asyncio
import itertools
import os
import random
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx2
from tests.fakes.model import Model
from tests.fakes.node import Pod
from tests.fakes.pod import request_of
from tests.integration.conftest import eventually, warm_instance
from tests.integration.warm_cluster import Cluster, has_ended, running

from sympozium_api import names
from sympozium_api.resources import RUNS, Object

CLAIMS = int(os.environ.get("SYMPOZIUM_TEST_CLAIMS", "500"))
REPLICAS, PODS, CALLERS = 3, 48, 12
BETWEEN_PODS = 0.3
"""Seconds, on average, between two deaths of pods."""
BETWEEN_REPLICAS = 4.0
LEAVES = 0.02
"""The share of callers that leave before they have their answer, and do not come again."""
KEPT_SECONDS = 6.0
"""Seconds for which the Job of an ended pod that no run names stays, because a run that names it may still arrive."""


@dataclass
class Race:
    """State of the race, and its results so far."""

    cluster: Cluster
    chance: random.Random
    asked: list[str] = field(default_factory=list)
    """Question of each caller; no two are equal."""
    deserted: set[str] = field(default_factory=set)
    """Those of them whose caller left."""
    killed: list[str] = field(default_factory=list)
    """Pods."""
    replicas_killed: int = 0
    claims: Counter[str] = field(default_factory=Counter)
    """Runs that name a pod, by pod."""
    phases: Counter[str] = field(default_factory=Counter)
    numbers: "itertools.count[int]" = field(default_factory=itertools.count)

    @property
    def continues(self) -> bool:
        """True while more claims are to be made."""
        return self.claims.total() < CLAIMS

    async def call(self) -> None:
        """Make one caller's request after the other."""
        while self.continues:
            text = f"question {next(self.numbers)}"
            self.asked.append(text)
            asking = asyncio.create_task(self._answered(text))
            if self.chance.random() < LEAVES:
                self.deserted.add(text)
                await eventually(lambda: asking.done() or self.runs(text) != [])  # noqa: B023 - not beyond this turn
                await asyncio.wait({asking}, timeout=self.chance.uniform(0, 0.03))
                asking.cancel()
                await asyncio.gather(asking, return_exceptions=True)
            else:
                answer = await asking
                self.account(await self._ended(text), answer)

    async def _answered(self, text: str) -> httpx2.Response:
        """Return the answer; repeat a request with the same key when its replica dies or has no API server."""
        while True:
            try:
                answer = await self.cluster.chat(text, at=self.chance.choice(self.cluster.replicas.ready))
            except httpx2.TimeoutException:
                raise AssertionError(self.runs(text)) from None
            except httpx2.TransportError:
                await asyncio.sleep(0.01)
            else:
                if answer.status_code != 503:
                    return answer

    async def _ended(self, text: str) -> Object:
        """Return the run of a question, once its end is stored."""
        found: list[Object] = []

        def ended() -> bool:
            found[:] = self.runs(text)
            return len(found) == 1 and has_ended(found[0])

        await eventually(ended)
        return found[0]

    def runs(self, text: str | None = None) -> list[Object]:
        """Return the runs of a question, or all. Runs that were accounted for are removed."""
        found = [self.cluster.kubernetes.object(RUNS, name) for name in self.cluster.kubernetes.names(RUNS)]
        return [run for run in found if text is None or asked_by(run) == text]

    def account(self, run: Object, answer: httpx2.Response | None) -> None:
        """Check a run that has ended, and remove it."""
        status, pods = run["status"], self.cluster.pods_asked(asked_by(run))
        claimed = run["spec"].get("claim", {}).get("podName")
        self.claims.update([claimed] if claimed else [])
        self.phases[f"{status['phase']} {status.get('start')}"] += 1
        assert len(pods) <= 1, (run, pods)
        if status["phase"] == "Succeeded":
            assert pods == [status["podName"]], run
            assert answer is None or answer.status_code == 200
        elif status["phase"] == "Failed":
            assert status["error"]["type"] == "lost", run
            assert {claimed, status.get("podName")} & set(self.killed), run
            assert answer is None or answer.status_code in (
                502,
                200,
            )  # its answer may reach a caller before it is stored
        else:
            assert asked_by(run) in self.deserted, run
        self.cluster.kubernetes.remove(RUNS, run["metadata"]["name"])
        for job in jobs_of(run):
            if (pod := self.cluster.node.pods.get(job)) and pod.task.done():
                self.cluster.node.forget(job)

    @asynccontextmanager
    async def goes_wrong(self) -> AsyncIterator[None]:
        """Start and kill pods and replicas during this context, and wait at its end until all runs have ended."""
        beside = [asyncio.create_task(work) for work in (self.refill(), self.kill_pods(), self.kill_replicas())]
        try:
            yield
            await eventually(lambda: all(has_ended(run) for run in self.runs()))
        finally:
            for task in beside:
                task.cancel()
            ended = await asyncio.gather(*beside, return_exceptions=True)
        assert all(isinstance(end, asyncio.CancelledError) for end in ended), ended

    async def refill(self) -> None:
        """Keep the number of pods, and forget those that no run names any longer."""
        ended: dict[str, float] = {}
        node = self.cluster.node
        while True:
            now, named = time.monotonic(), {name for run in self.runs() for name in jobs_of(run)}
            for name in [name for name, pod in node.pods.items() if pod.task.done() and name not in named]:
                if now - ended.setdefault(name, now) > KEPT_SECONDS:
                    node.forget(name)
            for _ in range(PODS - len(self.living())):
                node.idle_pod()
            await asyncio.sleep(0.02)

    def living(self) -> list[Pod]:
        """Return the pods that have not ended."""
        return [pod for pod in self.cluster.node.pods.values() if not pod.task.done()]

    async def kill_pods(self) -> None:
        """Kill any pod, or a pod that an open run names, again and again."""
        while True:
            await asyncio.sleep(self.chance.uniform(0, 2 * BETWEEN_PODS))
            named = {name for run in self.runs() for name in jobs_of(run)}
            victims = (
                [pod for pod in self.living() if pod.job in named] if self.chance.random() < 0.5 else self.living()
            )
            if victims:
                victim = self.chance.choice(victims)
                victim.kill()
                self.killed.append(victim.name)

    async def kill_replicas(self) -> None:
        """Kill one replica after the other, and start another in its place."""
        replicas = self.cluster.replicas
        while True:
            await asyncio.sleep(self.chance.uniform(0, 2 * BETWEEN_REPLICAS))
            replicas.kill(self.chance.choice(replicas.ready))
            self.replicas_killed += 1
            await replicas.start()


def asked_by(run: Object) -> str:
    text: str = request_of(run)["messages"][0]["content"]
    return text


def jobs_of(run: Object) -> list[str]:
    """Return the Jobs that a run may have: that of the pod that it names, and its own."""
    claim = run["spec"].get("claim")
    own = names.job(run["metadata"]["name"], run["metadata"]["uid"])
    return [own, claim["jobName"]] if claim else [own]


async def test_no_pod_works_on_two_runs_and_no_run_is_lost_whatever_is_killed(tmp_path: Path, model: Model) -> None:
    body = warm_instance(model, maxConcurrentRuns=1000, maxQueuedRuns=1000)
    async with running(tmp_path, model, body) as cluster:
        await asyncio.gather(*(cluster.replicas.start() for _ in range(REPLICAS)))
        began, race = time.monotonic(), Race(cluster, random.Random(7))
        async with race.goes_wrong(), asyncio.TaskGroup() as callers:
            for _ in range(CALLERS):
                callers.create_task(race.call())
        seconds = time.monotonic() - began
    judge(race)
    print(  # noqa: T201 - pytest shows it with -rP
        f"{race.claims.total()} claims in {seconds:.0f} s, {len(race.killed)} pods and "
        f"{race.replicas_killed} replicas killed: {dict(race.phases)}"
    )


def judge(race: Race) -> None:
    for run in race.runs():
        assert asked_by(run) in race.deserted
        race.account(run, None)
    assert max(race.claims.values()) == 1, "a pod was named by two runs"
    asked = race.cluster.asked
    assert max(Counter(pod for pod, _ in asked.elements()).values()) == 1, "a pod did two tasks"
    assert max(Counter(text for _, text in asked.elements()).values()) == 1, "a run was done twice"
    assert race.phases.total() >= len(race.asked) - len(race.deserted), "a request was forgotten"
