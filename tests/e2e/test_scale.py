"""Several replicas of a web endpoint: one limit for all, no request lost while they change, and nothing rolled that need not be."""

import asyncio
import json
import logging
import re
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx2
import pytest
from tests.e2e.conftest import LONGEST, Endpoint, Namespace, Refused, agent_run, authority, instance, until
from tests.e2e.load import under_load
from tests.e2e.webproxies import PLENTY, gone, made, pods, settled

log = logging.getLogger(__name__)


@pytest.fixture
def wide(namespace: Namespace) -> Iterator[Endpoint]:
    """An instance with three web-proxies."""
    yield from made(namespace, instance("wide", webEndpoint={"enabled": True, "replicas": 3, "rateLimit": PLENTY}))


@pytest.fixture
def narrow(namespace: Namespace) -> Iterator[Endpoint]:
    """An instance with one."""
    yield from made(namespace, instance("narrow", webEndpoint={"enabled": True, "rateLimit": PLENTY}))


def uids(endpoint: Endpoint) -> set[str]:
    return {pod["metadata"]["uid"] for pod in pods(endpoint)}


def change(endpoint: Endpoint, **web_endpoint: Any) -> None:
    endpoint.namespace.patch("instance", endpoint.instance, {"spec": {"webEndpoint": web_endpoint}})


@pytest.mark.measures
class TestOneLimitForAll:
    RATE, BURST, SECONDS = 300, 10, 30.0

    @pytest.fixture
    def limited(self, namespace: Namespace) -> Iterator[Endpoint]:
        """Its runs wait in the queue behind one that hangs: what is measured is who gets in, not how fast pods start."""
        limit = {"requestsPerMinute": self.RATE, "burstSize": self.BURST}
        web_endpoint = {"enabled": True, "replicas": 3, "rateLimit": limit}
        in_the_way = f"in-the-way-{secrets.token_hex(2)}"
        namespace.apply(agent_run(in_the_way, agentRef="limited", task="x", model={"model": "hang"}))
        body = instance("limited", webEndpoint=web_endpoint, maxConcurrentRuns=1, maxQueuedRuns=10_000)
        for endpoint in made(namespace, body):
            until(lambda: namespace.status("run", in_the_way).get("phase") == "Running", within=60)
            yield endpoint
        namespace.delete("run", in_the_way)

    @pytest.mark.parametrize("fall", ["evenly", "all on one"])
    def test_three_admit_the_rate_of_one_however_the_requests_fall(self, limited: Endpoint, fall: str) -> None:
        addresses = [f"http://{authority(pod['status']['podIP'], 8080)}" for pod in pods(limited)]
        assert len(addresses) == 3
        before = self.runs(limited)
        seconds, asked = asyncio.run(self.offer(limited, addresses if fall == "evenly" else addresses[:1]))
        admitted = len(self.runs(limited) - before)
        log.info("%s: %d of %d admitted in %.1f s", fall, admitted, asked, seconds)
        assert asked > 2.5 * seconds * self.RATE / 60, "about three times the load that is allowed"
        assert admitted == pytest.approx(seconds * self.RATE / 60 + self.BURST, rel=0.05)

    async def offer(self, endpoint: Endpoint, addresses: list[str]) -> tuple[float, int]:
        """Three times the rate; each caller leaves after three seconds, which ends its run. Seconds, and requests made."""
        body = {"messages": [{"role": "user", "content": "hello"}]}
        headers, pause = {"Authorization": f"Bearer {endpoint.key}"}, 60 / self.RATE / 3

        async def ask(http: httpx2.AsyncClient, address: str) -> None:
            try:
                answer = await http.post(f"{address}/v1/chat/completions", json=body, headers=headers, timeout=3)
            except httpx2.TimeoutException:
                return  # admitted: it waits for its run
            assert answer.status_code == 429, answer.text

        async with httpx2.AsyncClient() as http, asyncio.TaskGroup() as asked:
            began, count = time.monotonic(), 0
            while (elapsed := time.monotonic() - began) < self.SECONDS:
                asked.create_task(ask(http, addresses[count % len(addresses)]))
                count += 1
                await asyncio.sleep(max(0.0, began + count * pause - time.monotonic()))
        return elapsed, count

    def runs(self, endpoint: Endpoint) -> set[str]:
        return {
            run["metadata"]["name"] for run in endpoint.namespace.list("runs", "-l", "sympozium.ai/instance=limited")
        }


class TestWithoutOneFailedRequest:
    def test_a_rolling_update_under_load(self, wide: Endpoint) -> None:
        before = uids(wide)
        with under_load(wide, wide.key) as load:
            until(lambda: len(load.answers) == 6, within=30)
            wide.namespace.kubectl("rollout", "restart", f"deployment/{wide.run}-server")
            settled(wide)
            at_last = load.answers.copy()
            until(lambda: all(load.answers[kind] > at_last[kind] for kind in at_last), within=30)
        assert load.failures == []
        assert not uids(wide) & before

    def test_a_pod_is_evicted_under_load_and_a_second_one_only_after_it(self, wide: Endpoint) -> None:
        first, second, _ = [pod["metadata"]["name"] for pod in pods(wide)]
        with under_load(wide, wide.key, chats=False) as load:
            until(lambda: len(load.answers) == 2, within=30)
            until(lambda: disruptions(wide) == 1, within=30)
            evict(wide.namespace, first)
            with pytest.raises(Refused, match="disruption budget"):
                evict(wide.namespace, second)
            until(lambda: first not in [pod["metadata"]["name"] for pod in pods(wide, going=True)], within=60)
        assert load.failures == []

    def test_fewer_and_more_replicas_under_load(self, wide: Endpoint) -> None:
        with under_load(wide, wide.key) as load:
            until(lambda: len(load.answers) == 6, within=30)
            before = uids(wide)
            change(wide, replicas=1)
            until(lambda: len(pods(wide, going=True)) == 1, within=120)
            assert uids(wide) < before
            change(wide, replicas=2)
            until(lambda: len(uids(wide)) == 2, within=30)
            settled(wide)
        assert load.failures == []


def disruptions(endpoint: Endpoint) -> int | None:
    """Evictions that the budget allows now, as far as Kubernetes has counted the pods."""
    budget = endpoint.namespace.get("poddisruptionbudget", f"{endpoint.run}-server")
    allowed: int | None = budget.get("status", {}).get("disruptionsAllowed")
    return allowed


def evict(namespace: Namespace, pod: str) -> None:
    body = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": pod, "namespace": namespace.name}}
    path = f"/api/v1/namespaces/{namespace.name}/pods/{pod}/eviction"
    namespace.kubectl("create", "--raw", path, "-f-", stdin=json.dumps(body))


class TestSwitchedOff:
    def test_a_stream_that_is_open_ends_whole_and_then_all_goes(self, narrow: Endpoint) -> None:
        namespace = narrow.namespace
        with held(narrow), narrow.http.stream("POST", "/v1/chat/completions", json=ASK) as answer:
            lines = answer.iter_lines()
            assert next(lines).startswith("data: ")
            change(narrow, enabled=False)
            until(lambda: draining(narrow), within=10, why=lambda: namespace.status("instance", "narrow"))
            until(lambda: gone(namespace, "deployment", f"{narrow.run}-server"), within=10)
            assert asks_in_vain(narrow)
            ask_model(namespace, "release")
            rest = list(lines)
        assert rest[-2:] == ["data: [DONE]", ""]
        numbers = [int(number) for number in re.findall(r'"content":"(\d+) "', "\n".join(rest))]
        assert numbers == [*range(numbers[0], numbers[0] + len(numbers))]
        assert any('"content":"released"' in line for line in rest)
        assert namespace.run_ends(answer.headers["x-sympozium-run"])["phase"] == "Succeeded"
        for kind, name in children(narrow):
            until(lambda kind=kind, name=name: gone(namespace, kind, name), within=40, why=lambda kind=kind: kind)  # type: ignore[misc]
        until(lambda: not draining(narrow), within=10)
        assert namespace.status("instance", "narrow")["phase"] == "Running"

    def test_switched_on_again_meanwhile_it_serves_with_the_same_key(self, narrow: Endpoint) -> None:
        key = narrow.key
        with held(narrow), narrow.http.stream("POST", "/v1/chat/completions", json=ASK) as answer:
            lines = answer.iter_lines()
            assert next(lines).startswith("data: ")
            change(narrow, enabled=False)
            until(lambda: draining(narrow), within=10)
            change(narrow, enabled=True)
            server = f"{narrow.run}-server"
            until(lambda: not gone(narrow.namespace, "deployment", server), within=30)
            narrow.namespace.kubectl("rollout", "status", f"deployment/{server}", "--timeout=4m")
            until(lambda: narrow.namespace.status("instance", "narrow")["phase"] == "Serving", within=30)
            ask_model(narrow.namespace, "release")
            assert list(lines)[-2:] == ["data: [DONE]", ""]
        settled(narrow)
        narrow.use_model("instant")
        assert narrow.key == key
        assert narrow.chat().status_code == 200


ASK = {"messages": [{"role": "user", "content": "hello"}], "stream": True}


@contextmanager
def held(endpoint: Endpoint) -> Iterator[None]:
    """The model's answers go on until they are released, at the latest with the block."""
    ask_model(endpoint.namespace, "hold")
    endpoint.use_model("held:100")
    try:
        yield
    finally:
        ask_model(endpoint.namespace, "release")


def ask_model(namespace: Namespace, wish: str) -> None:
    """Let the model hold or release what it answers."""
    model = namespace.get("service", "model")["spec"]["clusterIP"]
    assert httpx2.post(f"http://{authority(model, 8080)}/{wish}", timeout=LONGEST).status_code == 200


def draining(endpoint: Endpoint) -> bool:
    return any(
        c["reason"] == "Draining" for c in endpoint.namespace.status("instance", endpoint.instance)["conditions"]
    )


def asks_in_vain(endpoint: Endpoint) -> bool:
    """Return true if a new request is refused: with 503, or because nobody listens."""
    try:
        with httpx2.Client(base_url=endpoint.url, headers=endpoint.http.headers, timeout=60) as http:
            return http.post("/v1/chat/completions", json=ASK).status_code == 503
    except httpx2.ConnectError:
        return True


def children(endpoint: Endpoint) -> list[tuple[str, str]]:
    run, server = endpoint.run, f"{endpoint.run}-server"
    own = [(kind, run) for kind in ("serviceaccount", "role", "rolebinding", "run")]
    return [*own, ("deployment", server), ("service", server), ("secret", f"{run}-web-api-key")]


class TestWhatRolls:
    def test_models_and_limits_roll_nothing_and_replicas_only_add(self, narrow: Endpoint) -> None:
        before = uids(narrow)
        narrow.use_model("slow:1:1")
        change(narrow, rateLimit={"requestsPerMinute": 60, "burstSize": 7})
        until(lambda: narrow.chat(model="unknown").headers.get("x-ratelimit-limit-requests") == "7", within=15)
        change(narrow, rateLimit=PLENTY)
        change(narrow, replicas=2)
        until(lambda: len(uids(narrow)) == 2, within=30)
        settled(narrow)
        assert before < uids(narrow)

    def test_another_secret_and_another_sidecar_roll_it_under_load(self, narrow: Endpoint, system: Namespace) -> None:
        namespace, before, key = narrow.namespace, uids(narrow), narrow.key
        keys = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "others"}, "stringData": {"api-key": key}}
        pack = system.get("skillpack", "web-endpoint")
        own = {name: pack[name] for name in ("apiVersion", "kind", "spec")} | {"metadata": {"name": "web-endpoint"}}
        own["spec"]["sidecar"]["env"] = {"SYMPOZIUM_ROLLED": "yes"}
        namespace.apply(keys)
        try:
            with under_load(narrow, key) as load:
                until(lambda: len(load.answers) == 6, within=30)
                change(narrow, authSecretRef="others")
                until(lambda: uids(narrow) - before, within=20)
                settled(narrow)
                after_secret = uids(narrow)
                assert not after_secret & before
                namespace.apply(own)
                until(lambda: uids(narrow) - after_secret, within=40)
                settled(narrow)
            assert load.failures == []
            [pod] = pods(narrow)
            assert {"name": "SYMPOZIUM_ROLLED", "value": "yes"} in pod["spec"]["containers"][0]["env"]
        finally:
            namespace.delete("skillpack", "web-endpoint")
            namespace.delete("secret", "others")

    def test_an_autoscaler_alone_says_how_many_replicas_there_are(self, narrow: Endpoint) -> None:
        namespace, server = narrow.namespace, f"{narrow.run}-server"
        change(narrow, autoscaling={"minReplicas": 2, "maxReplicas": 4})
        until(lambda: len(uids(narrow)) == 2, within=30)
        assert namespace.get("horizontalpodautoscaler", server)["spec"]["maxReplicas"] == 4
        assert namespace.get("poddisruptionbudget", server)["spec"]["maxUnavailable"] == 1

        namespace.kubectl("scale", "deployment", server, "--replicas=3")
        namespace.patch("instance", "narrow", {"metadata": {"annotations": {"look": "again"}}})
        settled(narrow)
        assert len(uids(narrow)) == 3

        namespace.delete("horizontalpodautoscaler", server)
        namespace.delete("poddisruptionbudget", server)
        until(lambda: not gone(namespace, "horizontalpodautoscaler", server), within=10)
        until(lambda: not gone(namespace, "poddisruptionbudget", server), within=10)

        change(narrow, autoscaling=None)
        until(lambda: gone(namespace, "horizontalpodautoscaler", server), within=10)
        until(lambda: gone(namespace, "poddisruptionbudget", server), within=10)
        until(lambda: len(uids(narrow)) == 1, within=10)
