"""The operator's reconcilers on an API server in memory, with time moved by hand."""

from typing import Any

from tests.fakes.clock import FakeClock
from tests.fakes.kubernetes import FakeKubernetes
from tests.unit.operator.objects import NAMESPACE, SYSTEM, run_object

from sympozium_api import agent_records, names, terminal_status
from sympozium_api.resources import EVENTS, INSTANCES, JOBS, RUNS
from sympozium_operator.operator_settings import OperatorSettings, from_environment
from sympozium_operator.result import Key, Result
from sympozium_operator.scheduling.shards import Shards
from sympozium_operator.wiring import wire

Object = dict[str, Any]


def operator_settings(**variables: str) -> OperatorSettings:
    """Settings of a small installation in namespace SYSTEM."""
    return from_environment(
        {
            "SYMPOZIUM_AGENT_IMAGE": "example.com/agent:1",
            "SYMPOZIUM_AGENT_RESOURCES": "{}",
            "SYMPOZIUM_NAMESPACE": SYSTEM,
            "SYMPOZIUM_RUNS_URL": "http://runs:8081",
        }
        | variables
    )


class World:
    """A cluster and one leader."""

    def __init__(self, *objects: Object, **variables: str) -> None:
        self.variables = variables
        self.clock = FakeClock()
        self.cluster = FakeKubernetes(self.clock.now)
        for body in objects:
            self.cluster.put(body)
        self.restart()

    def restart(self, *, network_policies: bool = True, shards: Shards | None = None) -> None:
        """Another leader, that knows nothing."""
        settings = operator_settings(SYMPOZIUM_NETWORK_POLICIES=str(network_policies).lower(), **self.variables)
        self.operator = wire(client=self.cluster, clock=self.clock, settings=settings, shards=shards)
        self.dispatcher, self.fair_queue = self.operator.dispatcher, self.operator.fair_queue
        self.metrics = self.operator.metrics
        self.api_keys, self.skills = self.operator.api_keys, self.operator.skills

    async def reconcile(self, name: str = "q1", kind: Any = "run", namespace: str = NAMESPACE) -> Result:
        return await self.dispatcher(Key(kind, namespace, name))

    async def settle(self, name: str, kind: Any = "run", most: int = 20) -> None:
        """Look at an object, and at what that brings up, until nothing is left to look at now."""
        ready = [Key(kind, NAMESPACE, name)]
        for _ in range(most):
            if not ready:
                return
            result = await self.dispatcher(ready.pop(0))
            ready += (*result.enqueue, *result.spread)

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

    def end(self, name: str, record: agent_records.End) -> None:
        status = terminal_status.status_of(record, job_name=None, pod_name=None, started_at=None, now=self.clock.now())
        self.cluster.put(self.run(name) | {"status": status})

    def writes(self) -> list[tuple[str, str]]:
        """Verb and kind of every write since the last call."""
        found = [(verb, plural) for verb, plural, _ in self.cluster.writes]
        self.cluster.writes.clear()
        return found

    def events(self) -> list[tuple[str, str, str]]:
        """Type, reason and message of all Events, as they came."""
        events = [body for (plural, _, _), body in self.cluster.objects.items() if plural == EVENTS.plural]
        return [(event["type"], event["reason"], event["message"]) for event in events]

    def ended(self, phase: str, error: str = "") -> float:
        found = self.metrics.registry.get_sample_value(
            "sympozium_operator_runs_ended_total", {"phase": phase, "error": error}
        )
        return found or 0
