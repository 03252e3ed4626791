"""Tunnels through the egress guard: an agent reaches its own models by them, and nothing else."""

import asyncio
import json
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from tests.fakes import agent_thread
from tests.fakes.certificate import self_signed
from tests.fakes.clock import FakeClock
from tests.fakes.kubernetes import FakeKubernetes
from tests.fakes.model import TOKENS, Model, serving
from tests.fakes.pod import FakePod, TokenIssuer
from tests.fakes.webhook import PUBLIC, world
from tests.integration.conftest import eventually, instance, listening
from tests.unit.agent.conftest import QUICK, task_for
from tests.unit.agent.surface import Reply, replica
from tests.unit.api.policies import policy_manifest

from sympozium_agent.agent_settings import AgentSettings
from sympozium_agent.waiting import Event
from sympozium_api import names
from sympozium_api.resources import EVENTS, RUNS
from sympozium_egress import tunnels
from sympozium_egress.assembly import EgressGuard, assemble
from sympozium_egress.egress_settings import EgressSettings
from sympozium_egress.tunnel_protocol import with_tunnels
from sympozium_egress.tunnels import MOST_OF_A_POD

HOST = "models.example.com"
RUN = "demo-run"


@dataclass
class Tunnelled:
    """A guard, and a model server with TLS that is the only one in the world."""

    kubernetes: FakeKubernetes
    issuer: TokenIssuer
    addresses: dict[str, list[str]]
    made: EgressGuard
    url: str
    model: Model
    dialled: list[tuple[str, int]]
    clock: FakeClock

    def put_run(self, name: str = RUN, agent: str = "demo", **others: Any) -> None:
        spec = {"agentRef": agent, "task": "hello"} | others.pop("spec", {})
        meta = {"name": name, "namespace": "default"}
        self.kubernetes.put(
            {"apiVersion": names.API_VERSION, "kind": "AgentRun", "metadata": meta, "spec": spec} | others
        )

    def put_provider(self, name: str, **spec: Any) -> None:
        meta = {"name": name, "namespace": "default"}
        self.kubernetes.put({"apiVersion": names.API_VERSION, "kind": "Provider", "metadata": meta, "spec": spec})

    def token(self, run: str = RUN, agent: str = "demo") -> str:
        pod = FakePod(self.kubernetes.object(RUNS, run), self.issuer, "").name
        return self.issuer.token(pod, names.agent_service_account(agent))

    async def asked(self, target: str = f"{HOST}:443", *, token: str | None = None, **headers: str) -> tuple[int, str]:
        """Status and reason of a request for a tunnel."""
        sent = {"proxy-authorization": f"Bearer {token or self.token()}", "sympozium-run": RUN} | {
            name.replace("_", "-"): text for name, text in headers.items()
        }
        lines = [f"CONNECT {target} HTTP/1.1", *(f"{name}: {text}" for name, text in sent.items() if text), "", ""]
        return await self.raw("\r\n".join(lines).encode())

    async def raw(self, head: bytes) -> tuple[int, str]:
        reader, writer = await asyncio.open_connection("127.0.0.1", int(self.url.rpartition(":")[2]))
        try:
            async with asyncio.timeout(60):
                writer.write(head)
                status = int((await reader.readline()).split()[1])
                rest = b"" if status == 200 else (await reader.read()).partition(b"\r\n\r\n")[2]
                return status, json.loads(rest)["error"] if rest else ""
        finally:
            writer.close()


@pytest.fixture
async def tunnelled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Tunnelled]:
    key, certificate = self_signed(x509.DNSName(HOST))
    (tmp_path / "server.pem").write_bytes(key + certificate)
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(tmp_path / "server.pem")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "server.pem"))
    async with serving(tls=tls) as model, made_guard(model) as found:
        yield found


@asynccontextmanager
async def made_guard(model: Model) -> AsyncIterator[Tunnelled]:
    kubernetes = FakeKubernetes()
    issuer, dialled = TokenIssuer(kubernetes), list[tuple[str, int]]()
    port = int(model.url.rpartition(":")[2].partition("/")[0])

    async def dial(address: str, at: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        dialled.append((address, at))
        return await asyncio.open_connection("127.0.0.1", port)

    agent = {"model": "instant", "baseURL": f"https://{HOST}/v1"}
    kubernetes.put(instance(agents={"default": agent}))
    async with world() as outside:
        outside.addresses[HOST] = [PUBLIC]
        settings = EgressSettings("sympozium-system", api_server="10.96.0.1")
        clock = FakeClock()
        made = await assemble(kubernetes, settings, clock, http=outside.client(), dial=dial)
        async with listening(made.app, http=with_tunnels(made.tunnels)) as url:
            found = Tunnelled(kubernetes, issuer, outside.addresses, made, url, model, dialled, clock)
            found.put_run()
            yield found


def settings_of(tunnelled: Tunnelled, tmp_path: Path, surface: str, **others: Any) -> AgentSettings:
    (tmp_path / "token").write_text(tunnelled.token())
    files: Any = {"token_file": tmp_path / "token", "key_files": (), "termination_file": tmp_path / "log"}
    return AgentSettings(addresses=(surface,), guard_url=tunnelled.url, **{"run": RUN} | files | others)


async def test_an_agent_reaches_its_model_through_the_guard(tunnelled: Tunnelled, tmp_path: Path) -> None:
    task = task_for(tunnelled.model)
    task["run"], task["model"]["baseURL"] = RUN, f"https://{HOST}/v1"
    async with replica(task) as surface:
        settings = settings_of(tunnelled, tmp_path, surface.url)
        assert await agent_thread.started(settings, Event(), environ={}, timeouts=QUICK) == 0
    assert surface.end["choices"][0]["message"]["content"] == "".join(TOKENS)
    assert tunnelled.dialled == [(PUBLIC, 443)]
    assert tunnelled.made.metrics.registry.get_sample_value("sympozium_egress_tunnels_total", {"outcome": "open"}) == 1


async def test_an_idle_pods_connection_is_made_before_its_run(tunnelled: Tunnelled, tmp_path: Path) -> None:
    task = task_for(tunnelled.model)
    task["run"], task["model"]["baseURL"] = RUN, f"https://{HOST}/v1"
    async with replica(task, tasks=[Reply(status=204)]) as surface:
        surface.prospect = {"baseURL": f"https://{HOST}/v1", "env": {}}
        settings = settings_of(tunnelled, tmp_path, surface.url, run=None, instance="demo", idle_ttl=60)
        running = agent_thread.started(settings, Event(), environ={}, timeouts=QUICK)
        async with asyncio.timeout(60):
            while not tunnelled.dialled:
                await asyncio.sleep(0.001)
            surface.tasks = [Reply()]
            assert await running == 0
    assert surface.end["type"] == "done"
    assert len(tunnelled.dialled) <= 2


async def test_a_host_that_is_not_the_runs_model_is_refused_and_not_asked_for_again(
    tunnelled: Tunnelled, tmp_path: Path
) -> None:
    task = task_for(tunnelled.model)
    task["run"], task["model"]["baseURL"] = RUN, "https://elsewhere.example.com/v1"
    async with replica(task) as surface:
        settings = settings_of(tunnelled, tmp_path, surface.url)
        assert await agent_thread.started(settings, Event(), environ={}, timeouts=QUICK) == 0
    error = surface.end["error"]
    assert (error["type"], error["code"]) == ("model_unreachable", "EgressRefused")
    assert "elsewhere.example.com:443 is no address of the agent's model" in error["message"]
    assert len(surface.end["steps"]) == 1
    assert tunnelled.dialled == []


@pytest.mark.parametrize(
    ("target", "status"),
    [
        ("elsewhere.example.com:443", 403),
        (f"{HOST}:8443", 403),
        (f"{HOST}:22", 403),
        ("169.254.169.254:80", 403),
        ("127.0.0.1:8082", 403),
        ("[::1]:443", 403),
        ("10.96.0.1:443", 403),
        ("2130706433:443", 400),
        (f"user@{HOST}:443", 400),
        (HOST, 400),
        (f"{HOST}:99999", 400),
        (f"http://{HOST}:443", 400),
    ],
)
async def test_no_other_target_is_reached(tunnelled: Tunnelled, target: str, status: int) -> None:
    assert (await tunnelled.asked(target))[0] == status
    assert tunnelled.dialled == []


@pytest.mark.parametrize("address", ["169.254.169.254", "127.0.0.1", "10.96.0.1", "10.0.0.5", "::ffff:127.0.0.1"])
async def test_the_models_own_name_leads_to_no_forbidden_address(tunnelled: Tunnelled, address: str) -> None:
    tunnelled.addresses[HOST] = [PUBLIC, address]
    status, reason = await tunnelled.asked()
    assert (status, tunnelled.dialled) == (403, [])
    assert HOST in reason


async def test_only_the_runs_own_pod_is_let_through(tunnelled: Tunnelled) -> None:
    tunnelled.put_run("other-run", agent="other")
    assert (await tunnelled.asked(token="forged"))[0] == 401
    assert (await tunnelled.asked(proxy_authorization=""))[0] == 401
    assert (await tunnelled.asked(token=tunnelled.token("other-run", "other")))[0] == 403
    assert (await tunnelled.asked(sympozium_run="missing"))[0] == 404
    assert (await tunnelled.asked(sympozium_run="", sympozium_instance="other"))[0] == 403
    assert (await tunnelled.asked(sympozium_run=""))[0] == 400
    assert tunnelled.dialled == []
    assert (await tunnelled.asked(sympozium_run="", sympozium_instance="demo"))[0] == 200


async def test_a_run_that_has_ended_gets_no_tunnel(tunnelled: Tunnelled) -> None:
    tunnelled.put_run(status={"phase": "Failed", "error": {"type": "lost", "message": "x", "httpStatus": 502}})
    assert (await tunnelled.asked())[0] in (403, 410)
    tunnelled.put_run(spec={"cancel": True})
    assert (await tunnelled.asked())[0] == 410


async def test_the_providers_of_an_instance_are_its_models(tunnelled: Tunnelled) -> None:
    for host in ("cloud.example.com", "spare.example.com", "off.example.com", "api.anthropic.com"):
        tunnelled.addresses[host] = [PUBLIC]
    tunnelled.put_provider("cloud", type="openai_compat", apiBase="https://cloud.example.com:8443/v1")
    tunnelled.put_provider("spare", type="anthropic_native")
    tunnelled.put_provider("off", type="openai_compat", apiBase="https://off.example.com/v1", enabled=False)
    agent = {"model": "m", "providerRef": "cloud", "fallbackModels": ["spare:claude", "off:x", "missing:y", "z"]}
    tunnelled.kubernetes.put(instance(agents={"default": agent}))
    assert (await tunnelled.asked("cloud.example.com:8443"))[0] == 200
    assert (await tunnelled.asked("api.anthropic.com:443"))[0] == 200
    assert (await tunnelled.asked("off.example.com:443"))[0] == 403
    assert (await tunnelled.asked("cloud.example.com:443"))[0] == 403
    assert (await tunnelled.asked())[0] == 403


async def test_a_run_with_an_address_of_its_own_reaches_that_alone(tunnelled: Tunnelled) -> None:
    tunnelled.addresses["own.example.com"] = [PUBLIC]
    tunnelled.put_run(spec={"model": {"baseURL": "http://own.example.com/v1"}})
    assert (await tunnelled.asked("own.example.com:80"))[0] == 200
    assert (await tunnelled.asked())[0] == 403


async def test_a_run_that_refers_to_a_provider_reaches_that_alone(tunnelled: Tunnelled) -> None:
    tunnelled.addresses["cloud.example.com"] = [PUBLIC]
    tunnelled.put_provider("cloud", type="openai_compat", apiBase="https://cloud.example.com/v1")
    tunnelled.put_run(spec={"model": {"providerRef": "cloud"}})
    assert (await tunnelled.asked("cloud.example.com:443"))[0] == 200
    assert (await tunnelled.asked())[0] == 403


async def test_a_host_without_a_dot_is_a_service_of_the_runs_namespace(tunnelled: Tunnelled) -> None:
    tunnelled.addresses |= {"models": ["198.51.100.7"], "models.default.svc": [PUBLIC]}
    tunnelled.put_run(spec={"model": {"baseURL": "http://models:8000/v1"}})
    assert (await tunnelled.asked("models:8000"))[0] == 200
    assert tunnelled.dialled == [(PUBLIC, 8000)]


async def test_a_denial_of_all_services_leads_to_none_of_another_namespace(tunnelled: Tunnelled) -> None:
    tunnelled.addresses |= {"llm.models": [PUBLIC], f"{HOST}.": [PUBLIC]}
    bounds = {"deny": ["*.svc.cluster.local"]}
    tunnelled.kubernetes.put(policy_manifest("bounds", "default", appliesTo="all", egressHosts=bounds))
    assert (await tunnelled.asked())[0] == 200
    tunnelled.put_run(spec={"model": {"baseURL": "http://llm.models:8000/v1"}})
    assert (await tunnelled.asked("llm.models:8000"))[0] == 502
    assert tunnelled.dialled == [(PUBLIC, 443)]


@pytest.mark.parametrize("head", [b"CONNECT x HTTP/2\r\n\r\n", b"CONNECT \r\n\r\n", b"CONNECT " + b"a" * 40_000])
async def test_heads_that_are_none_are_refused(tunnelled: Tunnelled, head: bytes) -> None:
    assert (await tunnelled.raw(head))[0] in (400, 431)


async def test_other_requests_are_served_as_before(tunnelled: Tunnelled) -> None:
    status, _ = await tunnelled.raw(b"GET /healthz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
    assert status == 200


@pytest.mark.parametrize(
    "bounds", [{"egressHosts": {"deny": [HOST]}}, {"providers": {"deny": ["openai_compat"]}}], ids=str
)
async def test_a_policy_closes_the_way_to_a_models_host(tunnelled: Tunnelled, bounds: dict[str, Any]) -> None:
    """Also for the run that has its task already."""
    assert (await tunnelled.asked())[0] == 200
    tunnelled.kubernetes.put(policy_manifest("bounds", "default", appliesTo="all", **bounds))
    until = asyncio.get_running_loop().time() + 60
    while (await tunnelled.asked())[0] == 200:
        assert asyncio.get_running_loop().time() < until
        tunnelled.clock.advance(1)
        await asyncio.sleep(0.1)
    status, reason = await tunnelled.asked()
    assert status == 403
    assert "is not allowed by the SympoziumPolicy bounds" in reason
    [kind] = bounds
    samples = tunnelled.made.metrics.registry.get_sample_value
    assert (samples("sympozium_policy_denied_total", {"kind": kind}) or 0) >= 2
    await eventually(lambda: len(tunnelled.kubernetes.names(EVENTS)) == 1)
    [name] = tunnelled.kubernetes.names(EVENTS)
    event = tunnelled.kubernetes.object(EVENTS, name)
    message = f"A call of its model was refused by the SympoziumPolicy bounds ({kind}.deny)."
    assert (event["reason"], event["involvedObject"]["name"], event["message"]) == ("PolicyDenied", RUN, message)


# Bounds.


@asynccontextmanager
async def opened(tunnelled: Tunnelled, number: int = 1) -> AsyncIterator[list[asyncio.StreamWriter]]:
    """Tunnels of one pod that stand and say nothing."""
    writers = []
    head = f"CONNECT {HOST}:443 HTTP/1.1\r\nproxy-authorization: Bearer {tunnelled.token()}\r\nsympozium-run: {RUN}\r\n\r\n"
    try:
        for _ in range(number):
            reader, writer = await asyncio.open_connection("127.0.0.1", int(tunnelled.url.rpartition(":")[2]))
            writers.append(writer)
            writer.write(head.encode())
            assert (await reader.readline()).split()[1] == b"200"
        yield writers
    finally:
        for writer in writers:
            writer.close()


async def test_one_pod_does_not_take_the_tunnels_of_all(tunnelled: Tunnelled) -> None:
    tunnelled.put_run("another")
    async with opened(tunnelled, MOST_OF_A_POD) as writers:
        assert await tunnelled.asked() == (503, f"the pod has {MOST_OF_A_POD} tunnels already")
        assert (await tunnelled.asked(token=tunnelled.token("another"), sympozium_run="another"))[0] == 200
        writers[0].close()
        async with asyncio.timeout(60):
            while (await tunnelled.asked())[0] != 200:
                await asyncio.sleep(0.01)


async def test_a_server_that_stays_silent_keeps_no_tunnel_of_a_pod_that_is_gone(
    tunnelled: Tunnelled, monkeypatch: pytest.MonkeyPatch
) -> None:
    is_over = asyncio.Event()

    async def silent(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await is_over.wait()
        writer.close()

    async with await asyncio.start_server(silent, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        monkeypatch.setattr(tunnels, "_LINGER_SECONDS", 0.1)
        monkeypatch.setattr(tunnelled.made.tunnels, "_dial", lambda *_: asyncio.open_connection("127.0.0.1", port))
        async with opened(tunnelled, MOST_OF_A_POD):
            assert (await tunnelled.asked())[0] == 503
        async with asyncio.timeout(30):
            while (await tunnelled.asked())[0] != 200:
                await asyncio.sleep(0.01)
        is_over.set()
