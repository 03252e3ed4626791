"""Access tokens of an authorization server in the cluster, beside API keys."""

import json
import socket
import time
from collections.abc import Iterator
from contextlib import suppress

import httpx2
import openai
import pytest
from cryptography import x509
from tests.e2e.conftest import LONGEST, MODEL_SERVER, Endpoint, Namespace, instance, scripted_server, until
from tests.fakes.issuer import Issuer

METADATA = "/.well-known/oauth-protected-resource"
LIMIT = {"requestsPerMinute": 60_000, "burstSize": 1000}


@pytest.fixture(scope="module")
def issuer(namespace: Namespace, webproxy_image: str) -> Iterator[Issuer]:
    """Its metadata and keys are served by a pod; its tokens are made here."""
    host = f"issuer.{namespace.name}.svc"
    found = Issuer(f"https://{host}:8080", x509.DNSName(host))
    script = MODEL_SERVER.with_name("documents.py")
    files, deployment, service = scripted_server("issuer", script, webproxy_image)
    files["data"] |= {"documents.json": json.dumps(found.documents), "tls.pem": found.certificate.decode()}
    [container] = deployment["spec"]["template"]["spec"]["containers"]
    container["readinessProbe"]["httpGet"]["scheme"] = "HTTPS"
    namespace.apply(files, deployment, service)
    namespace.kubectl("rollout", "status", "deployment/issuer", "--timeout=4m")
    yield found
    for kind in ("deployment", "service", "configmap"):
        namespace.delete(kind, "issuer")


@pytest.fixture(scope="module")
def guarded(namespace: Namespace, issuer: Issuer) -> Iterator[Endpoint]:
    """An instance that accepts the issuer's tokens."""
    oauth = issuer.spec(requiredScopes=["agents:ask"])
    namespace.apply(instance("guarded", webEndpoint={"enabled": True, "rateLimit": LIMIT, "oauth": oauth}))
    endpoint = Endpoint(namespace, "guarded").serves()
    until(lambda: status(endpoint, issuer.token()) == 200, within=30)
    yield endpoint
    endpoint.close()
    namespace.delete("instance", "guarded")
    until(lambda: not namespace.list("pods", "-l", f"sympozium.ai/run={endpoint.run}"), within=60)


def models(endpoint: Endpoint, key: str) -> httpx2.Response:
    return httpx2.get(f"{endpoint.url}/v1/models", headers={"Authorization": f"Bearer {key}"}, timeout=LONGEST)


def status(endpoint: Endpoint, key: str) -> int:
    return models(endpoint, key).status_code


def connects(address: str) -> bool:
    with suppress(OSError), socket.create_connection((address, 8080), timeout=2):
        return True
    return False


def test_a_token_gets_an_answer_and_so_does_an_api_key(guarded: Endpoint, issuer: Issuer) -> None:
    token = issuer.token(sub="alice@example.com")
    for key in (token, guarded.key):
        with openai.OpenAI(base_url=f"{guarded.url}/v1", api_key=key, max_retries=0, timeout=LONGEST) as sdk:
            stream = sdk.chat.completions.create(
                model="guarded", messages=[{"role": "user", "content": "hello"}], stream=True
            )
            assert "".join(chunk.choices[0].delta.content or "" for chunk in stream if chunk.choices)
    runs = guarded.namespace.list("runs", "-l", "sympozium.ai/instance=guarded,sympozium.ai/source=web-proxy")
    callers = {run["metadata"]["annotations"]["sympozium.ai/key-id"] for run in runs}
    assert len(callers) == 2
    assert {caller.partition("-")[0] for caller in callers} == {"api", "oauth"}
    logs = guarded.namespace.kubectl("logs", "-l", f"sympozium.ai/run={guarded.run}", "--tail=-1")
    secret = (token.split(".")[2], "alice@example.com")
    assert [word for word in secret if word in logs + json.dumps(runs)] == []


def test_a_token_that_is_not_good_enough_is_told_why(guarded: Endpoint, issuer: Issuer) -> None:
    metadata = f'resource_metadata="{guarded.url}{METADATA}"'
    expired = models(guarded, issuer.token(exp=int(time.time()) - 60))
    assert (expired.status_code, expired.json()["error"]["code"]) == (401, "invalid_token")
    assert expired.headers["www-authenticate"] == f'Bearer {metadata}, error="invalid_token", scope="agents:ask"'
    narrow = models(guarded, issuer.token(scope="openid"))
    assert (narrow.status_code, narrow.json()["error"]["code"]) == (403, "insufficient_scope")
    assert narrow.headers["www-authenticate"] == f'Bearer {metadata}, error="insufficient_scope", scope="agents:ask"'
    assert status(guarded, issuer.token(aud="https://another.example.com")) == 401
    assert status(guarded, "sk-wrong") == 401


def test_clients_find_the_issuer(guarded: Endpoint, issuer: Issuer) -> None:
    found = httpx2.get(f"{guarded.url}{METADATA}/mcp", timeout=LONGEST).json()
    assert found["resource"] == f"{guarded.url}/mcp"
    assert found["authorization_servers"] == [issuer.url]
    assert found["scopes_supported"] == ["agents:ask"]


def test_while_the_issuer_is_away_api_keys_go_on_and_tokens_are_asked_to_wait(
    guarded: Endpoint, issuer: Issuer
) -> None:
    namespace = guarded.namespace
    namespace.kubectl("scale", "deployment/issuer", "--replicas=0")
    address = namespace.get("service", "issuer")["spec"]["clusterIP"]
    until(lambda: not connects(address), within=30)  # its pod lives on for a moment after its object has gone
    elsewhere = {"webEndpoint": {"oauth": {"jwksURI": f"{issuer.url}/keys"}}}  # keys that are not known yet
    namespace.patch("instance", "guarded", {"spec": elsewhere})
    until(lambda: status(guarded, issuer.token()) == 503, within=30)
    answer = models(guarded, issuer.token())
    assert answer.json()["error"]["code"] == "issuer_unavailable"
    assert int(answer.headers["retry-after"]) > 0
    assert status(guarded, guarded.key) == 200
    namespace.kubectl("scale", "deployment/issuer", "--replicas=1")
    until(lambda: status(guarded, issuer.token()) == 200, within=60)
