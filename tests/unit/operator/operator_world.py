"""The operator's reconcilers on an API server in memory, with time moved by hand."""

from typing import Any

from tests.fakes.clock import FakeClock
from tests.fakes.kubernetes import FakeKubernetes
from tests.unit.operator.objects import NAMESPACE, SYSTEM, run_object

from sympozium_api import agent_protocol, names, terminal_status
from sympozium_api.resources import EVENTS, INSTANCES, JOBS, RUNS
from sympozium_operator.cluster.event_recorder import EventRecorder
from sympozium_operator.desired.agent_job import AgentPod
from sympozium_operator.desired.network_policy import Egress
from sympozium_operator.operator_metrics import OperatorMetrics
from sympozium_operator.policy.run_decision import RunLimits
from sympozium_operator.reconcile.api_key_secrets import ApiKeySecrets
from sympozium_operator.reconcile.config_reconciler import ConfigReconciler
from sympozium_operator.reconcile.dispatcher import Dispatcher
from sympozium_operator.reconcile.instance_reconciler import InstanceReconciler
from sympozium_operator.reconcile.network_policies import NetworkPolicies
from sympozium_operator.reconcile.pool_reconciler import PoolReconciler
from sympozium_operator.reconcile.route_reconciler import RouteReconciler
from sympozium_operator.reconcile.run_reconciler import RunReconciler
from sympozium_operator.reconcile.server_run_reconciler import ServerRunReconciler
from sympozium_operator.reconcile.skill_gatherer import SkillGatherer
from sympozium_operator.reconcile.skill_pack_reconciler import SkillPackReconciler
from sympozium_operator.result import Key, Result
from sympozium_operator.scheduling.fair_queue import FairQueue
from sympozium_operator.scheduling.pool_sizer import LaunchRate

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
        self.fair_queue, self.metrics = FairQueue(), OperatorMetrics()
        client, clock = self.cluster, self.clock
        events = EventRecorder(client, clock)
        self.keys = ApiKeySecrets(client, events)
        self.skills = SkillGatherer(client, SYSTEM)
        policies = NetworkPolicies(client, egress)
        pools = PoolReconciler(
            client, clock, self.metrics, AGENT, LaunchRate(3), lambda: self.fair_queue.cluster_full, 45
        )
        runs = RunReconciler(client, clock, self.fair_queue, self.metrics, events, AGENT, RunLimits(45, 600), pools)
        self.dispatch = Dispatcher(
            client=client,
            metrics=self.metrics,
            instances=InstanceReconciler(
                client,
                clock,
                events,
                SYSTEM,
                policies,
                RouteReconciler(client, SYSTEM, (None,)),
                self.skills,
                pools,
                runs.next_runs,
            ),
            runs=runs,
            servers=ServerRunReconciler(client, clock, events, SYSTEM, "IfNotPresent", self.keys, policies),
            skill_packs=SkillPackReconciler(client, SYSTEM, (None,)),
            configs=ConfigReconciler(client, clock, events, SYSTEM, (None,)),
            pools=pools,
        )

    async def look(self, name: str = "q1", kind: Any = "run", namespace: str = NAMESPACE) -> Result:
        return await self.dispatch(Key(kind, namespace, name))

    async def settle(self, name: str, kind: Any = "run", most: int = 20) -> None:
        """Look at an object, and at what that brings up, until nothing is left to look at now."""
        ready = [Key(kind, NAMESPACE, name)]
        for _ in range(most):
            if not ready:
                return
            ready += (await self.dispatch(ready.pop(0))).enqueue

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
