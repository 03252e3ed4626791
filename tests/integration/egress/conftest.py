"""A running egress guard with a run, its pod, a Tool and a ToolBinding."""

import base64
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import httpx2
import pytest
from tests.fakes.clock import FakeClock
from tests.fakes.kubernetes import FakeKubernetes
from tests.fakes.pod import FakePod, TokenIssuer
from tests.fakes.webhook import PUBLIC, World, world
from tests.integration.conftest import instance, listening
from tests.unit.api.tools import HOST, binding_manifest, tool_manifest

from sympozium_api import names
from sympozium_api.resources import RUNS, Object
from sympozium_egress.assembly import EgressGuard, assemble
from sympozium_egress.egress_settings import EgressSettings

KEY = "sk-weather-0123456789"
RUN = "demo-run"
IN_FORCE = [
    {
        "type": "InForce",
        "status": "True",
        "reason": "InForce",
        "observedGeneration": 1,
        "lastTransitionTime": "2026-01-01T00:00:00Z",
    }
]
CITY = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}


@dataclass
class Guard:
    """One guard, and the world around it."""

    kubernetes: FakeKubernetes
    issuer: TokenIssuer
    world: World
    http: httpx2.AsyncClient
    made: EgressGuard
    clock: FakeClock

    def put_tool(self, name: str = "weather", *, function: str = "weather", **spec: Any) -> None:
        if not {"parameters", "parametersText", "builtin"} & set(spec):
            spec["parameters"] = CITY
        self.kubernetes.put(tool_manifest(name, **spec) | {"status": {"function": function, "conditions": IN_FORCE}})

    def put_binding(self, name: str = "demo-weather", *, function: str = "weather", **spec: Any) -> None:
        status = {"function": function, "conditions": IN_FORCE}
        self.kubernetes.put(binding_manifest(name, **spec) | {"status": status})

    def put_secret(self, name: str, entries: dict[str, str], *, labelled: bool = True) -> None:
        data = {key: base64.b64encode(text.encode()).decode() for key, text in entries.items()}
        labels = {names.LABEL_TOOL_KEY: "true"} if labelled else {}
        metadata = {"name": name, "namespace": "default", "labels": labels}
        self.kubernetes.put({"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "data": data})

    def put_run(self, name: str = RUN, *, status: Object | None = None, **spec: Any) -> Object:
        return self.kubernetes.put(
            {
                "apiVersion": names.API_VERSION,
                "kind": "AgentRun",
                "metadata": {
                    "name": name,
                    "namespace": "default",
                    "annotations": {
                        names.ANNOTATION_TRACEPARENT: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
                    },
                },
                "spec": {"agentRef": "demo", "task": "hello"} | spec,
            }
            | ({"status": status} if status else {})
        )

    def token(self, name: str = RUN) -> str:
        pod = FakePod(self.kubernetes.object(RUNS, name), self.issuer, "")
        return self.issuer.token(pod.name, names.agent_service_account("demo"))

    async def call(
        self,
        arguments: Any = None,
        *,
        function: str = "weather",
        run: str = RUN,
        call_id: str = "call_1",
        token: str | None = None,
    ) -> httpx2.Response:
        body = {"id": call_id, "arguments": {"city": "Oslo"} if arguments is None else arguments}
        headers = {"Authorization": f"Bearer {token or self.token(run)}"}
        return await self.http.post(f"/runs/{run}/tools/{function}", json=body, headers=headers)

    async def told(self, arguments: Any = None, **how: Any) -> tuple[str, bool]:
        answer = await self.call(arguments, **how)
        assert answer.status_code == 200, answer.text
        return answer.json()["result"], answer.json()["isError"]

    def metric(self, name: str, **labels: str) -> float:
        return self.made.metrics.registry.get_sample_value(name, labels) or 0.0


@pytest.fixture
async def guard() -> AsyncIterator[Guard]:
    kubernetes = FakeKubernetes()
    issuer = TokenIssuer(kubernetes)
    kubernetes.put(instance())
    async with world() as outside:
        outside.addresses[HOST] = [PUBLIC]
        settings = EgressSettings("sympozium-system", api_server="10.96.0.1")
        clock = FakeClock()
        made = await assemble(kubernetes, settings, clock, http=outside.client())
        async with listening(made.app) as url, httpx2.AsyncClient(base_url=url, timeout=60) as http:
            found = Guard(kubernetes, issuer, outside, http, made, clock)
            found.put_run()
            found.put_tool(webhook={"url": f"http://{HOST}/v1/query"})
            found.put_binding()
            yield found
