"""Where the API server and the credentials come from: a pod's service account, or whatever a kubeconfig file holds."""

import base64
import ipaddress
import json
import ssl
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from cryptography import x509
from tests.fakes.certificate import self_signed, server_side

from sympozium_api.client import ApiUnavailable, Client, auth
from sympozium_api.client.kubeconfig import from_kubeconfig

Object = dict[str, Any]
Written = Callable[[Object, Object], str]
LOOPBACK = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


@pytest.fixture
def written(tmp_path: Path) -> Written:
    """Writes a kubeconfig file with this cluster and this user."""

    def write(cluster: Object, user: Object) -> str:
        file = tmp_path / "kubeconfig"
        content = {
            "current-context": "here",
            "contexts": [{"name": "here", "context": {"cluster": "c", "user": "u"}}],
            "clusters": [{"name": "c", "cluster": cluster}],
            "users": [{"name": "u", "user": user}],
        }
        file.write_text(json.dumps(content))
        return str(file)

    return write


@asynccontextmanager
async def api_server(tls: ssl.SSLContext | None = None) -> AsyncIterator[str]:
    """Answers /version with what it was told: the Host and Authorization headers, and the client's certificate."""

    async def version(request: web.Request) -> web.Response:
        assert request.transport is not None
        certificate = request.transport.get_extra_info("peercert") or {}
        return web.json_response(
            {
                "host": request.host,
                "authorization": request.headers.get("authorization"),
                "names": [name for _, name in certificate.get("subjectAltName", ())],
            }
        )

    app = web.Application()
    app.router.add_get("/version", version)
    server = TestServer(app, scheme="https" if tls else "http")
    await server.start_server(ssl=tls)
    try:
        yield str(server.make_url("")).rstrip("/")
    finally:
        await server.close()


async def told(file: str) -> Object:
    """What an API server was told by a client with this kubeconfig."""
    async with Client.connect(from_kubeconfig(file)) as client:
        return await client.raw("/version")


def pem(directory: Path, *names: x509.GeneralName) -> Path:
    file = directory / "certificate.pem"
    file.write_bytes(b"".join(self_signed(*names)))
    return file


def encoded(content: bytes) -> str:
    return base64.b64encode(content).decode()


async def test_a_token_is_sent(written: Written) -> None:
    async with api_server() as url:
        assert (await told(written({"server": url}, {"token": "abc"})))["authorization"] == "Bearer abc"


async def test_a_user_without_credentials_sends_none(written: Written) -> None:
    async with api_server() as url:
        assert (await told(written({"server": url}, {})))["authorization"] is None


@pytest.mark.parametrize("is_inline", [True, False])
async def test_a_client_certificate_is_shown_and_the_authority_verified(
    written: Written, tmp_path: Path, *, is_inline: bool
) -> None:
    file = pem(tmp_path, LOOPBACK)
    key, certificate = tmp_path / "key.pem", tmp_path / "cert.pem"
    private, public = self_signed(x509.DNSName("a-person"))
    key.write_bytes(private)
    certificate.write_bytes(public)
    tls = server_side(file)
    tls.verify_mode = ssl.CERT_REQUIRED
    tls.load_verify_locations(cadata=public.decode())
    if is_inline:
        cluster = {"certificate-authority-data": encoded(file.read_bytes())}
        user = {"client-certificate-data": encoded(public), "client-key-data": encoded(private)}
    else:
        cluster = {"certificate-authority": file.name}
        user = {"client-certificate": certificate.name, "client-key": str(key)}
    async with api_server(tls) as url:
        assert (await told(written({"server": url} | cluster, user)))["names"] == ["a-person"]


async def test_an_exec_plugin_is_run_again_when_its_token_has_expired(written: Written, tmp_path: Path) -> None:
    plugin = tmp_path / "plugin.py"
    plugin.write_text(
        "import json, pathlib\n"
        f"calls = pathlib.Path({str(tmp_path / 'calls')!r})\n"
        "number = int(calls.read_text()) + 1 if calls.exists() else 1\n"
        "calls.write_text(str(number))\n"
        "expiry = '2020-01-01T00:00:00Z' if number == 1 else '2999-01-01T00:00:00Z'\n"
        "status = {'token': f'token-{number}', 'expirationTimestamp': expiry}\n"
        "print(json.dumps({'apiVersion': 'client.authentication.k8s.io/v1', 'kind': 'ExecCredential', 'status': status}))\n"
    )
    user = {
        "exec": {
            "apiVersion": "client.authentication.k8s.io/v1",
            "command": sys.executable,
            "args": [str(plugin)],
            "interactiveMode": "Never",
        }
    }
    async with api_server() as url, Client.connect(from_kubeconfig(written({"server": url}, user))) as client:
        answers = [await client.raw("/version") for _ in range(2)]
    assert [answer["authorization"] for answer in answers] == ["Bearer token-2"] * 2
    assert (tmp_path / "calls").read_text() == "2"


async def test_a_proxy_of_the_cluster_is_used(written: Written) -> None:
    async with api_server() as proxy:
        cluster = {"server": "http://api.beyond.example", "proxy-url": proxy}
        answer = await told(written(cluster, {"token": "abc"}))
    assert (answer["host"], answer["authorization"]) == ("api.beyond.example", "Bearer abc")


async def test_a_proxy_of_the_environment_is_used_but_for_the_hosts_that_it_spares(
    written: Written, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with api_server() as url:
        monkeypatch.setenv("http_proxy", url)
        assert (await told(written({"server": "http://api.beyond.example"}, {})))["host"] == "api.beyond.example"
        monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        assert (await told(written({"server": url}, {})))["host"] == url.removeprefix("http://")


async def test_the_servers_certificate_may_have_another_name(written: Written, tmp_path: Path) -> None:
    file = pem(tmp_path, x509.DNSName("kubernetes.example"))
    async with api_server(server_side(file)) as url:
        cluster = {"server": url, "certificate-authority": str(file)}
        assert (await told(written(cluster | {"tls-server-name": "kubernetes.example"}, {})))["host"]
        with pytest.raises(ApiUnavailable):
            await told(written(cluster, {}))


async def test_verification_is_left_out_only_where_the_file_says_so(written: Written, tmp_path: Path) -> None:
    async with api_server(server_side(pem(tmp_path, LOOPBACK))) as url:
        assert (await told(written({"server": url, "insecure-skip-tls-verify": True}, {})))["host"]
        with pytest.raises(ApiUnavailable):
            await told(written({"server": url}, {}))


def test_the_file_that_kubeconfig_names_is_read(written: Written, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    monkeypatch.setenv("KUBECONFIG", f"/nowhere/config:{written({'server': 'http://here'}, {'token': 'abc'})}")
    connection = auth.from_environment()
    assert (connection.url, connection.headers()) == ("http://here", {"Authorization": "Bearer abc"})


def test_without_the_extra_its_name_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    monkeypatch.setitem(sys.modules, "sympozium_api.client.kubeconfig", None)
    with pytest.raises(SystemExit, match=r"sympozium\[kubeconfig\]"):
        auth.from_environment()


def test_a_pod_uses_its_service_account_and_never_imports_the_loader(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("pods-token\n")
    (tmp_path / "ca.crt").write_bytes(self_signed(LOOPBACK)[1])
    script = (
        "import sys; from pathlib import Path; from sympozium_api.client import auth\n"
        f"auth.SERVICE_ACCOUNT = Path({str(tmp_path)!r})\n"
        "connection = auth.from_environment()\n"
        "assert not [name for name in sys.modules if name.partition('.')[0] == 'kubernetes']\n"
        "print(connection.url, connection.headers()['Authorization'])"
    )
    environ = {"KUBERNETES_SERVICE_HOST": "fd00::1", "KUBERNETES_SERVICE_PORT": "443", "PYTHONPATH": ":".join(sys.path)}
    found = subprocess.run([sys.executable, "-c", script], env=environ, capture_output=True, text=True, check=True)
    assert found.stdout.split("\n")[0] == "https://[fd00::1]:443 Bearer pods-token"
