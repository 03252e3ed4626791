"""Warm pools: requests are answered by pods that waited for them, each of which does one run."""

from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx2
import pytest
from tests.e2e.conftest import Endpoint, Namespace, Object, agent_run, instance, until
from tests.e2e.consoles import Console

IDLE = ("-l", "sympozium.ai/instance=pooled,sympozium.ai/warm=idle")
SIZE = 3
NOW = ("--grace-period=1", "--wait=false")


@pytest.fixture(scope="module")
def _pooled(namespace: Namespace) -> Iterator[Endpoint]:
    limit = {"requestsPerMinute": 60_000, "burstSize": 1000}
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "pool-model"},
        "stringData": {"api-key": "one"},
    }
    warm = instance(
        "pooled",
        agent={"warmPool": {"size": SIZE, "idleTTL": "30m"}},
        authRefs=[{"provider": "openai", "secret": "pool-model"}],
        skills=[{"skillPackRef": "web-endpoint"}],
        webEndpoint={"rateLimit": limit},
    )
    namespace.apply(secret, warm)
    endpoint = Endpoint(namespace, "pooled").serves()
    yield endpoint
    endpoint.close()
    namespace.delete("instance", "pooled")


@pytest.fixture
def pooled(_pooled: Endpoint) -> Endpoint:
    """An instance whose warm pool is full."""
    use(_pooled.serves(), "instant")
    full(_pooled)
    return _pooled


def use(endpoint: Endpoint, script: str) -> None:
    """Another script of the model; idle pods are taken again once the operator has seen the change."""
    endpoint.use_model(script)

    def is_seen() -> bool:
        found = endpoint.namespace.get("instance", endpoint.instance)
        return bool(found["status"]["observedGeneration"] == found["metadata"]["generation"])

    until(is_seen, within=10)


def waiting(endpoint: Endpoint) -> int:
    """Idle pods that wait at the web-proxy."""
    for line in endpoint.metrics().splitlines():
        if line.startswith("sympozium_idle_pods "):
            return int(float(line.split()[1]))
    return 0


def full(endpoint: Endpoint) -> None:
    until(
        lambda: waiting(endpoint) == len(idle_pods(endpoint)) == SIZE,
        within=60,
        why=lambda: endpoint.namespace.kubectl("get", "jobs,pods"),
    )


def idle_pods(endpoint: Endpoint) -> set[str]:
    pods = endpoint.namespace.list("pods", "-l", "sympozium.ai/instance=pooled,app.kubernetes.io/component=agent")
    going = ("Succeeded", "Failed")
    return {
        pod["metadata"]["name"]
        for pod in pods
        if pod["status"]["phase"] not in going and "-warm-" in pod["metadata"]["name"]
    }


def run_of(endpoint: Endpoint, answer: httpx2.Response) -> Object:
    """The run of an answer, once its status says so too."""
    name = answer.headers["x-sympozium-run"]
    endpoint.namespace.run_ends(name)
    return endpoint.namespace.get("run", name)


def test_a_request_takes_a_pod_that_waited_and_the_pool_is_filled_again(pooled: Endpoint) -> None:
    before = idle_pods(pooled)
    answer = pooled.chat()
    assert answer.status_code == 200
    run = run_of(pooled, answer)
    assert run["spec"]["claim"]["podName"] in before
    assert run["status"]["podName"] == run["spec"]["claim"]["podName"]
    assert run["status"]["start"] == "warm"
    full(pooled)
    until(lambda: run["status"]["podName"] not in idle_pods(pooled), within=20)
    assert before - {run["status"]["podName"]} <= idle_pods(pooled)
    shown = pooled.namespace.kubectl("get", "run", run["metadata"]["name"])
    assert "warm" in shown


def test_a_run_that_the_console_starts_takes_a_pod_that_waited(pooled: Endpoint, system: Namespace) -> None:
    before, console = idle_pods(pooled), Console(system, pooled.namespace.name)
    body = {"agentRef": "pooled", "task": "hello"}
    started = console.asks("POST", "runs", json=body, headers={"Prefer": "wait=200"})
    console.http.close()
    assert started.status_code == 200, started.text
    status = started.json()["status"]
    assert (status["phase"], status["start"]) == ("Succeeded", "warm")
    assert status["podName"] in before


def test_more_than_wait_are_all_answered_each_by_a_pod_of_its_own(pooled: Endpoint) -> None:
    with ThreadPoolExecutor(8) as callers:
        answers = list(callers.map(lambda _: pooled.chat(), range(8)))
    assert [answer.status_code for answer in answers] == [200] * 8
    runs = [run_of(pooled, answer) for answer in answers]
    assert max(Counter(run["status"]["podName"] for run in runs).values()) == 1
    starts = Counter(run["status"]["start"] for run in runs)
    assert starts["warm"] >= SIZE
    assert starts["cold"] >= 1


def test_a_run_that_goes_on_owns_its_job_and_takes_it_along(pooled: Endpoint) -> None:
    use(pooled, "slow:300:100")
    full(pooled)  # else the run may start cold, in a Job of its own from the first
    with ThreadPoolExecutor(1) as callers:
        asked = callers.submit(pooled.chat)
        running = until(
            lambda: [
                run
                for run in pooled.namespace.list("runs", "-l", "sympozium.ai/instance=pooled")
                if run.get("status", {}).get("phase") == "Running" and "claim" in run["spec"]
            ],
            within=30,
        )[0]
        job = pooled.namespace.get("job", running["spec"]["claim"]["jobName"])
        assert job["metadata"]["ownerReferences"][0]["uid"] == running["metadata"]["uid"]
        assert job["metadata"]["labels"]["sympozium.ai/warm"] == "claimed"
        assert job["spec"]["activeDeadlineSeconds"] < 3600
        pooled.namespace.delete("run", running["metadata"]["name"])
        assert asked.result().status_code == 502
    until(lambda: running["spec"]["claim"]["podName"] not in idle_pods(pooled), within=30)


def test_a_rotated_key_is_used_by_every_request_and_replaces_the_pods(pooled: Endpoint) -> None:
    before, answers = idle_pods(pooled), list[httpx2.Response]()
    pooled.namespace.patch("secret", "pool-model", {"stringData": {"api-key": "two"}})
    use(pooled, "echo")

    def replaced() -> bool:
        answers.append(pooled.chat())
        return not before & idle_pods(pooled)

    until(replaced, within=90, why=lambda: pooled.namespace.kubectl("get", "jobs,pods"))
    assert {answer.status_code for answer in answers} == {200}
    full(pooled)
    assert "Bearer two" in pooled.chat().text


def test_pods_outlive_their_web_proxy(pooled: Endpoint) -> None:
    before = idle_pods(pooled)
    [proxy] = pooled.pods()
    pooled.namespace.delete("pod", proxy["metadata"]["name"], *NOW)
    until(lambda: proxy["metadata"]["name"] not in pooled.namespace.kubectl("get", "pods"), within=60)
    until(pooled.answers, within=60)
    full(pooled)
    assert idle_pods(pooled) == before
    assert run_of(pooled, pooled.chat())["status"]["start"] == "warm"


def test_idle_pods_that_die_cost_nobody_anything(pooled: Endpoint) -> None:
    killed = idle_pods(pooled)
    for pod in killed:
        pooled.namespace.delete("pod", pod, *NOW)
    until(lambda: not killed & idle_pods(pooled), within=30)
    with ThreadPoolExecutor(3) as callers:
        answers = list(callers.map(lambda _: pooled.chat(), range(6)))
    assert [answer.status_code for answer in answers] == [200] * 6
    full(pooled)


def test_a_run_that_is_applied_takes_a_pod_that_waited(pooled: Endpoint) -> None:
    pooled.namespace.apply(agent_run("applied-warm", agentRef="pooled", task="hello"))
    status = pooled.namespace.run_ends("applied-warm")
    assert (status["phase"], status["start"]) == ("Succeeded", "warm")


def test_a_pool_that_is_switched_off_goes(pooled: Endpoint) -> None:
    pooled.namespace.patch("instance", "pooled", {"spec": {"agents": {"default": {"warmPool": {"size": 0}}}}})
    until(lambda: not idle_pods(pooled) and not pooled.namespace.list("jobs", *IDLE), within=60)
    assert run_of(pooled, pooled.chat())["status"]["start"] == "cold"
    pooled.namespace.patch("instance", "pooled", {"spec": {"agents": {"default": {"warmPool": {"size": SIZE}}}}})
    full(pooled)
