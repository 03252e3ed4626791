"""Checks of the model server and the issuer by web-proxies, as they stand on the server run (decision 0056)."""

import asyncio
import ipaddress
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from tests.fakes.clock import FakeClock
from tests.fakes.documents import Documents
from tests.fakes.issuer import Issuer
from tests.fakes.kubernetes import FakeKubernetes
from tests.fakes.model import Model
from tests.integration.conftest import assembled, eventually, instance, session_key

from sympozium_api import names
from sympozium_api.probes import Probe
from sympozium_api.resources import INSTANCES, RUNS, Object
from sympozium_webproxy.context import WebProxyContext
from sympozium_webproxy.probing.prober import next_view
from sympozium_webproxy.settings import WebProxySettings

SERVER = "demo-web-endpoint"
FAST = 0.1


class World:
    """A server run, and the replicas of its web-proxy."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.kubernetes = folder, FakeKubernetes()
        metadata = {"name": SERVER, "namespace": "default"}
        head = {"apiVersion": names.API_VERSION, "kind": "AgentRun", "metadata": metadata}
        self.kubernetes.put(head | {"spec": {"agentRef": "demo", "mode": "server"}})

    def use(self, url: str, model: str = "instant", **spec: Any) -> None:
        agent = {"model": model, "baseURL": url, "runTimeout": "10m"} | spec.pop("agent", {})
        self.kubernetes.put(instance(agents={"default": agent}, **spec))

    @asynccontextmanager
    async def replicas(self, count: int = 1, interval: float = FAST) -> AsyncIterator[list[WebProxyContext]]:
        (self.folder / "api-key").write_text("sk-test\n")
        key = session_key(self.folder)
        async with AsyncExitStack() as running:
            contexts = []
            for _ in range(count):
                settings = WebProxySettings(
                    *("default", "demo", "127.0.0.1"),
                    api_keys=self.folder,
                    session_key=key,
                    probe_interval_seconds=interval,
                )
                made = assembled(self.kubernetes, settings, FakeClock())
                contexts.append((await running.enter_async_context(made))[0])
            yield contexts

    def probes(self) -> Object:
        found: Object = self.kubernetes.object(RUNS, SERVER, "default").get("status", {}).get("probes", {})
        return found

    async def result(self, reason: str, subject: str = "model") -> Object:
        await eventually(lambda: self.probes().get(subject, {}).get("reason") == reason)
        found: Object = self.probes()[subject]
        return found

    def writes(self) -> int:
        return self.kubernetes.writes.count(("patch", f"{RUNS.plural}/status", SERVER))


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def unused_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


async def test_a_model_that_answers_and_lists_the_model_is_reachable(world: World, model: Model) -> None:
    world.use(model.url)
    async with world.replicas():
        found = await world.result("Answered")
    assert found["reachable"]
    assert found["message"] == f"{model.url} answers, and lists the model instant"


async def test_a_model_that_is_not_in_the_list_is_told(world: World, model: Model) -> None:
    world.use(model.url, "gpt-nope")
    async with world.replicas():
        found = await world.result("ModelNotListed")
    assert found["reachable"]
    assert "does not list the model gpt-nope" in found["message"]


async def test_a_host_without_a_name_is_told_with_the_url_and_the_field(world: World) -> None:
    world.use("http://user:secret@vllm.models.invalid:8000/v1?key=secret")
    async with world.replicas():
        found = await world.result("NameNotFound")
    assert not found["reachable"]
    assert found["message"] == (
        "cannot reach the model at http://vllm.models.invalid:8000/v1: name not found (spec.agents.default.baseURL)"
    )


async def test_a_closed_port_and_a_port_without_tls_are_told_apart(world: World) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        world.use(f"http://127.0.0.1:{unused_port()}/v1")
        async with world.replicas():
            await world.result("ConnectionRefused")
            world.use("https://{}:{}/v1".format(*server.sockets[0].getsockname()))
            await world.result("TLSFailed")


@pytest.mark.parametrize("status", [301, 401, 403, 404, 500])
async def test_any_answer_is_an_answer_and_no_redirect_is_followed(world: World, status: int, tmp_path: Path) -> None:
    asked: list[bytes] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(f"HTTP/1.1 {status} X\r\nlocation: /elsewhere\r\ncontent-length: 0\r\n\r\n".encode())
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        host, port = server.sockets[0].getsockname()
        world.use(
            f"http://{host}:{port}/v1",
            authRefs=[{"provider": "openai", "secret": "keys"}],
            agent={"providerHeaders": {"api-key": "secret"}},
        )
        async with world.replicas():
            assert (await world.result("Answered"))["reachable"]
    assert asked[0].startswith(b"GET /v1/models ")
    assert not any(word in asked[0].lower() for word in (b"authorization", b"secret", b"elsewhere"))


async def test_an_endless_answer_is_cut(world: World) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        try:
            while True:
                writer.write(b"x" * 65536)
                await writer.drain()
        except ConnectionError:
            writer.transport.abort()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        world.use("http://{}:{}/v1".format(*server.sockets[0].getsockname()))
        async with world.replicas():
            await world.result("Answered")


async def test_what_does_not_change_is_not_written_again(world: World, model: Model) -> None:
    world.use(model.url)
    async with world.replicas(3):
        await world.result("Answered")
        await asyncio.sleep(6 * FAST)
    assert world.writes() <= 3  # one, and what replicas write in the same moment
    written = world.writes()
    async with world.replicas(2):
        await asyncio.sleep(4 * FAST)
    assert world.writes() == written


async def test_another_address_is_checked_without_waiting_for_the_interval(world: World, model: Model) -> None:
    world.use("http://vllm.models.invalid/v1")
    async with world.replicas(interval=600):
        before = await world.result("NameNotFound")
        await asyncio.sleep(0.1)
        world.use(model.url)
        async with asyncio.timeout(60):
            while world.probes()["model"]["reason"] != "Answered":
                await asyncio.sleep(0.05)
    assert world.probes()["model"]["target"] != before["target"]


async def test_requests_are_served_whatever_the_check_says(world: World) -> None:
    world.use("http://vllm.models.invalid/v1")
    async with world.replicas() as [context]:
        await world.result("NameNotFound")
        assert context.instance_cache.served()
        assert not context.failing_watches


async def test_a_server_run_that_is_gone_disturbs_nothing(world: World, model: Model) -> None:
    world.use(model.url)
    await world.kubernetes.delete(RUNS, "default", SERVER)
    async with world.replicas() as [context]:
        await asyncio.sleep(3 * FAST)
        assert not context.failing_watches
    assert world.kubernetes.object(INSTANCES, "demo", "default")


async def test_an_issuer_that_cannot_be_reached_is_told_with_its_host(world: World, model: Model) -> None:
    oauth = {"issuer": "https://login.example.invalid/realms/house", "audiences": ["x"]}
    world.use(model.url, webEndpoint={"oauth": oauth})
    async with world.replicas():
        found = await world.result("NameNotFound", "issuer")
        assert found["message"] == (
            "cannot fetch the keys of the issuer login.example.invalid: name not found (spec.webEndpoint.oauth)"
        )


async def test_an_issuer_that_shows_its_keys_is_ready_and_what_is_no_key_set_is_told(
    world: World, model: Model, tmp_path: Path
) -> None:
    issuer = Issuer("https://127.0.0.1", x509.IPAddress(ipaddress.ip_address("127.0.0.1")))
    certificate = tmp_path / "tls.pem"
    certificate.write_bytes(issuer.certificate)
    server = Documents(("127.0.0.1", 0), issuer.documents, certificate)
    issuer.url = f"https://127.0.0.1:{server.server_port}"
    issuer.documents["/.well-known/openid-configuration"] = {"issuer": issuer.url, "jwks_uri": f"{issuer.url}/keys"}
    world.use(model.url, webEndpoint={"oauth": issuer.spec()})
    with server.running():
        async with world.replicas():
            assert (await world.result("KeysFetched", "issuer"))["reachable"]
            issuer.documents["/keys"] = {"no": "keys"}
            found = await world.result("InvalidAnswer", "issuer")
    assert not found["reachable"]
    assert "the web-proxy's log has the reason" in found["message"]


@pytest.mark.parametrize("host", ["[", "[::1", "[x]y", "a:b", "b" * 1500])
async def test_an_issuer_that_is_no_valid_address_leaves_the_models_result(
    world: World, model: Model, host: str
) -> None:
    world.use(model.url, webEndpoint={"oauth": {"issuer": f"https://{host}/realms/house", "audiences": ["x"]}})
    async with world.replicas():
        await world.result("Answered")
        assert not world.probes()["issuer"]["reachable"]


async def test_a_server_that_is_not_verified_is_not_sent_what_may_be_a_key(world: World, tmp_path: Path) -> None:
    certificate = tmp_path / "tls.pem"
    certificate.write_bytes(Issuer("https://a", x509.IPAddress(ipaddress.ip_address("127.0.0.1"))).certificate)
    server = Documents(("127.0.0.1", 0), {}, certificate)
    address = f"user:secret@127.0.0.1:{server.server_port}/v1?key=secret"
    world.use(f"https://{address}", agent={"env": {"SSL_CERT_FILE": "/only/in/the/agents/image.pem"}})
    with server.running():
        async with world.replicas():
            await world.result("Answered")
    assert set(server.asked) == {"/v1/models"}


def test_replicas_that_see_different_things_do_not_write_against_each_other() -> None:
    ours = Probe(target="t", reachable=True, reason="Answered", message="")
    theirs = Probe(target="t", reachable=False, reason="Timeout", message="")
    view, stores = next_view(None, ours, theirs)
    assert stores  # its first result
    rounds = []
    for _ in range(24):
        view, stores = next_view(view, ours, theirs)
        rounds.append(stores)
    assert rounds.count(True) == 2  # one an hour
    assert next_view(view, theirs, ours)[1]
    assert not next_view(view, theirs, theirs)[1]
