"""The operator's reconcilers on an API server in memory, with time moved by hand."""

from typing import Any

from tests.fakes.clock import FakeClock
from tests.fakes.kubernetes import FakeKubernetes
from tests.unit.operator.objects import NAMESPACE, SYSTEM, run_object

from sympozium_api import agent_protocol, names, terminal_status
from sympozium_api.resources import EVENTS, INSTANCES, JOBS, RUNS
from sympozium_operator.cluster.events import Events
from sympozium_operator.desired.job import AgentPod
from sympozium_operator.desired.network import Egress
from sympozium_operator.metrics import OperatorMetrics
from sympozium_operator.outcome import Key, Outcome
from sympozium_operator.policy.admission import Admission
from sympozium_operator.policy.pool import Pace
from sympozium_operator.policy.run import Limits
from sympozium_operator.reconcile.config import Configs
from sympozium_operator.reconcile.dispatch import Dispatch
from sympozium_operator.reconcile.instance import Instances
from sympozium_operator.reconcile.keys import ApiKeys
from sympozium_operator.reconcile.network import NetworkPolicies
from sympozium_operator.reconcile.pool import Pools
from sympozium_operator.reconcile.route import Routes
from sympozium_operator.reconcile.run import Runs
from sympozium_operator.reconcile.server import Servers
from sympozium_operator.reconcile.skillpack import SkillPacks
from sympozium_operator.reconcile.skills import Skills

Object = dict[str, Any]

AGENT = AgentPod("example.com/agent:1", "IfNotPresent", {}, "http://runs:8081")


class World:
    """A cluster and one leader."""

    def __init__(self, *objects: Object) -> None:
        self.clock = FakeClock()
        self.cluster = FakeKubernetes(self.clock.now)
        for body in objects:
            self.cluster.put(body)
        self.restart()

    def restart(self, egress: Egress | None = Egress(SYSTEM)) -> None:  # noqa: B008 - frozen
        """Another leader, that knows nothing; ``egress`` None: of an installation without NetworkPolicies."""
        self.admission, self.metrics = Admission(), OperatorMetrics()
        client, clock = self.cluster, self.clock
        events = Events(client, clock)
        self.keys = ApiKeys(client, events)
        self.skills = Skills(client, SYSTEM)
        policies = NetworkPolicies(client, egress)
        pools = Pools(client, clock, self.metrics, AGENT, Pace(3), lambda: self.admission.full, 45)
        runs = Runs(client, clock, self.admission, self.metrics, events, AGENT, Limits(45, 600), pools)
        self.dispatch = Dispatch(
            client=client,
            metrics=self.metrics,
            instances=Instances(
                client, clock, events, SYSTEM, policies, Routes(client, SYSTEM, (None,)), self.skills, pools, runs.turns
            ),
            runs=runs,
            servers=Servers(client, clock, events, SYSTEM, "IfNotPresent", self.keys, policies),
            skill_packs=SkillPacks(client, SYSTEM, (None,)),
            configs=Configs(client, clock, events, SYSTEM, (None,)),
            pools=pools,
        )

    async def look(self, name: str = "q1", kind: Any = "run", namespace: str = NAMESPACE) -> Outcome:
        return await self.dispatch(Key(kind, namespace, name))

    async def settle(self, name: str, kind: Any = "run", most: int = 20) -> None:
        """Look at an object, and at what that brings up, until nothing is left to look at now."""
        ready = [Key(kind, NAMESPACE, name)]
        for _ in range(most):
            if not ready:
                return
            ready += (await self.dispatch(ready.pop(0))).also

    def run(self, name: str = "q1") -> Object:
        return self.cluster.object(RUNS, name, NAMESPACE)

    def status(self, name: str = "q1") -> Object:
        found: Object = self.run(name).get("status", {})
        return found

    def instance_status(self, name: str = "alice") -> Object:
        found: Object = self.cluster.object(INSTANCES, name, NAMESPACE)["status"]
        return found

    def job(self, name: str = "q1") -> Object:
        return self.cluster.object(JOBS, names.job(name, self.run(name)["metadata"]["uid"]), NAMESPACE)

    def ask(self, *runs: str, **spec: Any) -> None:
        """Somebody makes runs."""
        for name in runs:
            self.cluster.put(run_object(name, created=self.clock.seconds, **spec))

    def answer(self, name: str = "q1", text: str = "Hi") -> None:
        """The web-proxy stores an answer."""
        choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
        self.end(name, {"type": "done", "choices": [choice], "usage": {}, "durationMs": 1})

    def end(self, name: str, record: agent_protocol.End) -> None:
        status = terminal_status.status_of(record, job_name=None, pod_name=None, started_at=None, now=self.clock.now())
        self.cluster.put(self.run(name) | {"status": status})

    def writes(self) -> list[tuple[str, str]]:
        """Verb and kind of every write since the last call."""
        found = [(verb, plural) for verb, plural, _ in self.cluster.writes]
        self.cluster.writes.clear()
        return found

    def told(self) -> list[tuple[str, str, str]]:
        """Type, reason and message of all Events, as they came."""
        events = [body for (plural, _, _), body in self.cluster.objects.items() if plural == EVENTS.plural]
        return [(event["type"], event["reason"], event["message"]) for event in events]

    def ended(self, phase: str, error: str = "") -> float:
        found = self.metrics.registry.get_sample_value(
            "sympozium_operator_runs_ended_total", {"phase": phase, "error": error}
        )
        return found or 0
