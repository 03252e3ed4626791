"""An accepted request is never lost: every part is killed once while it works."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx2
import pytest
from tests.e2e.conftest import LONGEST, NOW, Endpoint, Namespace, agent_run, until


@pytest.fixture
def background() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor() as pool:
        yield pool


def run_of(endpoint: Endpoint, known: set[str]) -> str:
    """The run that came since ``known``, once its pod works."""

    def new() -> str | None:
        found = [run for run in endpoint.namespace.list("runs") if run["metadata"]["name"] not in known]
        working = [run for run in found if run.get("status", {}).get("phase") == "Running"]
        return working[0]["metadata"]["name"] if working else None

    return until(new, within=30)


def names(endpoint: Endpoint) -> set[str]:
    return {run["metadata"]["name"] for run in endpoint.namespace.list("runs")}


def test_a_web_proxy_dies_and_a_retry_gets_the_same_runs_answer(chat: Endpoint, background: ThreadPoolExecutor) -> None:
    chat.use_model("slow:300:100")  # longer than a busy kubelet takes to kill a pod
    known, headers = names(chat), {"Idempotency-Key": f"retry-{time.time()}"}
    body = {"messages": [{"role": "user", "content": "hello"}]}

    def ask() -> httpx2.Response:
        with httpx2.Client(base_url=chat.url, headers=dict(chat.http.headers) | headers, timeout=LONGEST) as http:
            return http.post("/v1/chat/completions", json=body)

    asked = background.submit(ask)
    run = run_of(chat, known)
    [proxy] = chat.pods()
    chat.namespace.delete("pod", proxy["metadata"]["name"], *NOW)
    with pytest.raises(httpx2.TransportError):
        asked.result()

    until(chat.answers, within=60)
    again = until(lambda: answer if (answer := ask()).status_code != 503 else None, within=60)

    assert again.headers["x-sympozium-run"] == run
    assert again.status_code == 200
    assert len(again.json()["choices"][0]["message"]["content"].split()) == 300
    assert names(chat) - known == {run}


@pytest.mark.alone
def test_the_operator_dies_and_nothing_is_lost_or_doubled(
    chat: Endpoint, system: Namespace, background: ThreadPoolExecutor
) -> None:
    chat.use_model("slow:60:100")
    known = names(chat)
    before = background.submit(chat.chat)
    run_of(chat, known)
    for pod in system.list("pods", "-l", "app.kubernetes.io/component=operator"):
        system.delete("pod", pod["metadata"]["name"], *NOW)
    during = [background.submit(chat.chat) for _ in range(3)]

    assert before.result().status_code == 200
    assert [answer.result().status_code for answer in during] == [200, 200, 200]
    assert len(names(chat) - known) == 4
    ours = f"sympozium.ai/run in ({','.join(names(chat) - known)})"
    until(lambda: not chat.namespace.list("jobs", "-l", ours), within=60)


def test_an_agents_pod_dies_and_the_caller_is_told(chat: Endpoint, background: ThreadPoolExecutor) -> None:
    chat.use_model("hang")
    known = names(chat)
    asked = background.submit(chat.chat)
    run = run_of(chat, known)
    [pod] = chat.namespace.list("pods", "-l", f"sympozium.ai/run={run}")
    chat.namespace.delete("pod", pod["metadata"]["name"], *NOW)

    response = asked.result()

    assert response.status_code in (502, 503)
    assert response.json()["error"]["code"] in ("lost", "terminated")
    assert chat.namespace.run_ends(run)["phase"] == "Failed"


def test_a_run_whose_job_is_gone_is_lost_and_never_started_again(namespace: Namespace) -> None:
    namespace.apply(agent_run("jobless", task="hello", model={"model": "hang"}))
    until(lambda: namespace.status("run", "jobless").get("phase") == "Running", within=30)
    namespace.delete("job", namespace.status("run", "jobless")["jobName"], "--wait=false")

    status = namespace.run_ends("jobless", within=30)

    assert (status["phase"], status["error"]["type"]) in (("Failed", "lost"), ("Failed", "terminated"))
    until(lambda: not namespace.list("pods", "-l", "sympozium.ai/run=jobless"), within=30)
    assert not namespace.list("jobs", "-l", "sympozium.ai/run=jobless")


@pytest.mark.alone
def test_the_runs_surface_of_the_system_dies_and_the_run_ends_all_the_same(
    namespace: Namespace, system: Namespace
) -> None:
    namespace.apply(agent_run("survivor", task="hello", model={"model": "slow:40:100"}))
    until(lambda: namespace.status("run", "survivor").get("phase") == "Running", within=30)
    for pod in system.list("pods", "-l", "app.kubernetes.io/component=runs"):
        system.delete("pod", pod["metadata"]["name"], *NOW)

    status = namespace.run_ends("survivor")

    assert status["phase"] == "Succeeded"
    assert len(status["result"].split()) == 40
