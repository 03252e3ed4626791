"""``helm upgrade`` from the chart of the version before, while runs are answered and others wait.

The chart is that of the version before, frozen in tests/fixtures; the images are today's, which need today's rights. All tests look at
one upgrade, because each takes the cluster a minute.
"""

import hashlib
import json
from collections.abc import Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx2
import pytest
import yaml
from tests.contract.documents import ROOT
from tests.e2e.conftest import LONGEST, Endpoint, Namespace, Object, agent_run, authority, helm, instance, until
from tests.e2e.consoles import Console
from tests.e2e.platforms import Platform, check_walk, prepare_walk

from sympozium_api import names

pytestmark = pytest.mark.dismantles

PREVIOUS = ROOT / "tests/fixtures/chart-0.2.0"
CHART = ROOT / "charts/sympozium"
FEWER = 50
"""Tokens of the answer that waits; the first answer lasts as long as the test holds it."""
OLD_CPU = "41m"
"""Something of a web-proxy's pod that the upgrade changes, as the next version's image would."""


def known_then(values: Object) -> Object:
    """Of today's values those that the old chart has, one that is another now, and what today's console needs of a chart."""
    images = values["images"]
    found = {name: {key: images[name][key] for key in ("repository", "tag")} for name in ("operator", "webproxy")}
    cpu = {"resources": {"requests": {"cpu": OLD_CPU}}}
    needed = {"SYMPOZIUM_SCRATCH_DIR": "/dev/shm", "SYMPOZIUM_BIND": "0.0.0.0"}
    console = {"extraEnv": [{"name": name, "value": value} for name, value in needed.items()]}
    return {"images": found | {"pullPolicy": images["pullPolicy"]}, "webProxy": cpu, "console": console}


@contextmanager
def todays_rights(system: Namespace) -> Iterator[None]:
    """Today's operator may do under the old chart what today's chart lets it do."""
    made = helm("template", "sympozium", str(CHART))
    roles = [
        item for item in yaml.safe_load_all(made) if item and item["kind"] in ("ClusterRole", "ClusterRoleBinding")
    ]
    for item in roles:
        item["metadata"] = {"name": f"today-{item['metadata']['name']}"}
        if "roleRef" in item:
            item["roleRef"]["name"] = f"today-{item['roleRef']['name']}"
    system.apply(*roles)
    try:
        yield
    finally:
        for item in roles:
            system.delete(item["kind"], item["metadata"]["name"])


def upgrade(chart: Path, values: Object, *words: str) -> None:
    own = ("--reset-values", "--values", "-", "--force-conflicts", "--timeout", "3m")
    helm("upgrade", "sympozium", str(chart), *own, *words, stdin=json.dumps(values))


def install_previous(system: Namespace, values: Object) -> None:
    """Install the chart before with today's images; there the console was in the web-proxy's."""
    image = pod_image(system, "sympozium-console")
    upgrade(PREVIOUS, known_then(values))
    system.kubectl("set", "image", "deployment/sympozium-console", f"console={image}")
    for deployment in ("sympozium-operator", "sympozium-runs", "sympozium-console"):
        system.kubectl("rollout", "status", f"deployment/{deployment}", "--timeout=3m")


def pod_image(system: Namespace, deployment: str) -> str:
    image: str = system.get("deployment", deployment)["spec"]["template"]["spec"]["containers"][0]["image"]
    return image


def made_by_helm(system: Namespace, secret: str) -> None:
    """Mark a Secret as Helm's, as the one that the chart before made; today the operator generates it."""
    release = {"meta.helm.sh/release-name": "sympozium", "meta.helm.sh/release-namespace": system.name}
    metadata = {"annotations": release, "labels": {"app.kubernetes.io/managed-by": "Helm"}}
    system.patch("secret", secret, {"metadata": metadata})


@pytest.fixture(scope="module")
def previous(system: Namespace) -> Iterator[Object]:
    """The version before, installed; gives the values of today's installation."""
    before = json.loads(helm("history", "sympozium", "--output", "json"))[-1]["revision"]
    values: Object = json.loads(helm("get", "values", "sympozium", "--output", "json"))
    made_by_helm(system, "sympozium-console-token")
    with todays_rights(system):
        try:
            install_previous(system, values)
            yield values
        finally:
            helm("rollback", "sympozium", str(before), "--wait")


@pytest.fixture(scope="module")
def busy(namespace: Namespace, previous: Object) -> Iterator[Endpoint]:
    """An instance that answers one request at a time."""
    namespace.apply(instance("busy", model="held:100", webEndpoint={"enabled": True}, maxConcurrentRuns=1))
    endpoint = Endpoint(namespace, "busy")
    yield endpoint.serves()
    endpoint.close()
    namespace.delete("instance", "busy")


def proxies(endpoint: Endpoint) -> list[Object]:
    return endpoint.namespace.list("pods", "-l", f"sympozium.ai/run={endpoint.run}")


def streamed(endpoint: Endpoint) -> list[str]:
    """Return the tokens of an answer, as its caller got them."""
    messages: Any = [{"role": "user", "content": "hello"}]
    with endpoint.sdk.chat.completions.create(model="busy", messages=messages, stream=True) as stream:
        return [chunk.choices[0].delta.content for chunk in stream if chunk.choices and chunk.choices[0].delta.content]


@contextmanager
def callers(namespace: Namespace) -> Iterator[Executor]:
    """Threads of callers. The model holds no answer beyond the block: a caller would wait for it without end."""
    with ThreadPoolExecutor() as pool:
        try:
            yield pool
        finally:
            release(namespace)


def release(namespace: Namespace) -> None:
    """Let the model end the answer that it holds."""
    model = namespace.get("service", "model")["spec"]["clusterIP"]
    assert httpx2.post(f"http://{authority(model, 8080)}/release", timeout=LONGEST).status_code == 200


def phases(endpoint: Endpoint) -> list[str]:
    """Phases of the runs that the callers wait for: an older one has a key."""
    return sorted(run.get("status", {}).get("phase", "Pending") for run in runs(endpoint))


def runs(endpoint: Endpoint) -> list[Object]:
    found = endpoint.namespace.list("runs", "-l", "sympozium.ai/instance=busy")
    old = names_of_key(endpoint.namespace.get("instance", "busy")["metadata"]["uid"], KEY)
    return [run for run in found if run["spec"]["mode"] == "task" and run["metadata"]["name"] != old]


KEY = "before"
CALL = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
ASKED: Any = {"messages": [{"role": "user", "content": "hello"}], "temperature": 1.0}


def answered_before(endpoint: Endpoint, key: str) -> str:
    """Make a run with this Idempotency-Key as web-proxy and agent of 0.2.0 left it; return its name."""
    uid = endpoint.namespace.get("instance", "busy")["metadata"]["uid"]
    own = agent_run(names_of_key(uid, key), agentRef="busy", request=ASKED)
    digest = hashlib.sha256(json.dumps(ASKED, sort_keys=True).encode()).hexdigest()
    own["metadata"] |= {
        "labels": names.labels("run", instance="busy"),
        "annotations": {names.ANNOTATION_KEY_ID: "api-key", names.ANNOTATION_REQUEST_HASH: digest},
    }
    message = {"role": "assistant", "content": None, "tool_calls": [CALL]}
    status = {
        "phase": "Succeeded",
        "completedAt": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "finishReason": "tool_calls",
        "choices": [{"index": 0, "message": message, "finish_reason": "tool_calls"}],
        "details": {"service_tier": "flex"},
    }
    endpoint.namespace.apply(own)
    name: str = own["metadata"]["name"]
    patch = json.dumps({"status": status})
    endpoint.namespace.kubectl("patch", "run", name, "--subresource=status", "--type=merge", "-p", patch)
    return name


def names_of_key(uid: str, key: str) -> str:
    seed = json.dumps([uid, "api-key", key])
    return f"busy-{hashlib.sha256(seed.encode()).hexdigest()[:20]}"


@dataclass(frozen=True)
class Upgraded:
    """One upgrade, as those have seen it who used the endpoint meanwhile."""

    run_with_key: str
    """A run of the version before."""
    operators: tuple[Object, Object]
    """The operator's Deployment before and after."""
    phases: list[str]
    """Phases of the two runs when the new web-proxy served."""
    answers: list[list[str]]
    """Tokens of the answer that began before, and of the one that waited."""


@pytest.fixture(scope="module")
def upgraded(busy: Endpoint, previous: Object, system: Namespace) -> Upgraded:
    """Today's chart instead of the one before, while one request is answered and another one waits."""
    [old] = proxies(busy)
    assert old["spec"]["containers"][0]["resources"]["requests"]["cpu"] == OLD_CPU
    operator = system.get("deployment", "sympozium-operator")
    run_with_key = answered_before(busy, KEY)

    def new_proxy_serves() -> bool:
        new = [pod for pod in proxies(busy) if pod["metadata"]["uid"] != old["metadata"]["uid"]]
        return any(state["ready"] for pod in new for state in pod["status"].get("containerStatuses", []))

    with callers(busy.namespace) as pool:
        answers = [pool.submit(streamed, busy)]
        until(lambda: phases(busy) == ["Running"], within=30)
        busy.namespace.patch("instance", "busy", {"spec": {"agents": {"default": {"model": f"slow:{FEWER}:100"}}}})
        answers.append(pool.submit(streamed, busy))
        until(lambda: phases(busy) == ["Pending", "Running"], within=30)
        upgrade(CHART, previous, "--wait")
        until(new_proxy_serves, within=60)
        seen = phases(busy)
        release(busy.namespace)
        tokens = [answer.result() for answer in answers]
    return Upgraded(run_with_key, (operator, system.get("deployment", "sympozium-operator")), seen, tokens)


def test_what_is_answered_and_what_waits_outlives_an_upgrade(upgraded: Upgraded, busy: Endpoint) -> None:
    assert upgraded.phases == ["Pending", "Running"]
    (*numbers, last), waited = upgraded.answers
    assert len(numbers) > FEWER
    assert numbers == [f"{number} " for number in range(1, len(numbers) + 1)]
    assert last == "released"
    assert len(waited) == FEWER

    until(lambda: phases(busy) == ["Succeeded", "Succeeded"], within=10)
    before, now = (operator["metadata"] for operator in upgraded.operators)
    assert now["uid"] == before["uid"]
    assert now["labels"]["helm.sh/chart"] != before["labels"]["helm.sh/chart"]
    events = busy.namespace.list("events", "--field-selector=reason=SuccessfulCreate,involvedObject.kind=Job")
    jobs = [event["involvedObject"]["name"] for event in events if event["count"] == 1]
    expected = sorted(run["status"]["jobName"] for run in runs(busy))
    assert sorted(job for job in jobs if job in expected) == expected
    assert busy.namespace.get("networkpolicy", "busy-agent")


def test_a_key_of_the_version_before_gives_its_answer(upgraded: Upgraded, busy: Endpoint) -> None:
    busy.serves()
    answer = busy.http.post("/v1/chat/completions", json=ASKED, headers={"Idempotency-Key": KEY})
    assert (answer.status_code, answer.headers["x-sympozium-run"]) == (200, upgraded.run_with_key)
    assert answer.json()["choices"][0]["message"]["tool_calls"] == [CALL]
    assert answer.json()["service_tier"] == "flex"


@pytest.fixture(scope="module")
def archive(upgraded: Upgraded, previous: Object, system: Namespace) -> Iterator[None]:
    """The archive, which a second upgrade switches on: the guide of history says why SQLite takes one. Helm would keep its volume."""
    assert upgraded
    upgrade(CHART, previous | {"archive": {"enabled": True}}, "--wait")
    yield
    system.delete("persistentvolumeclaim", "sympozium-archive", "--wait=false")


@pytest.mark.usefixtures("archive")
def test_a_run_of_the_version_before_is_archived(upgraded: Upgraded, busy: Endpoint, system: Namespace) -> None:
    def archived() -> list[str]:
        console = Console(system, busy.namespace.name)
        with closing(console.http):
            response = console.asks("GET", "history", query={"instance": "busy"})
            return [row["name"] for row in response.json()["items"]] if response.is_success else []

    until(lambda: upgraded.run_with_key in archived(), within=30, why=archived)


@pytest.mark.usefixtures("archive")
def test_the_agent_platforms_walk_with_sqlite_alone_is_in_its_audit(busy: Endpoint, system: Namespace) -> None:
    prepare_walk(busy.namespace)
    platform = Platform(busy.namespace, system)
    with closing(platform.console.http):
        check_walk(platform.command("examples/platform/walk.sh"))
