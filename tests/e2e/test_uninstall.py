"""Removal of parts of the installation in any order: what they leave, and that the rest continues when they come back."""

import json
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress

import pytest
from tests.e2e.conftest import Endpoint, Namespace, Object, Refused, agent_run, helm, instance, is_established, until

pytestmark = pytest.mark.dismantles

KINDS = "instances,runs,jobs,pods,deployments,services,secrets,serviceaccounts,roles,rolebindings,networkpolicies"


@contextmanager
def uninstalled() -> Iterator[None]:
    """Without the release, as long as the test needs that."""
    values = helm("get", "values", "sympozium", "--output", "json")
    helm("uninstall", "sympozium", "--wait")
    try:
        yield
    finally:
        install = ("helm", "--namespace", "sympozium-system", "install", "sympozium", "charts/sympozium", "--wait")
        subprocess.run([*install, "--values", "-"], input=values, text=True, check=True, capture_output=True)


@pytest.fixture
def orphan(namespace: Namespace) -> Iterator[Endpoint]:
    namespace.apply(instance("orphan", model="slow:100:100", webEndpoint={"enabled": True}))
    endpoint = Endpoint(namespace, "orphan")
    yield endpoint.serves()
    endpoint.close()
    namespace.delete("instance", "orphan")


def test_without_the_operator_answers_go_on_and_a_deleted_instance_takes_all_along(
    orphan: Endpoint, namespace: Namespace
) -> None:
    def working() -> list[str]:
        runs = namespace.list("runs", "-l", "sympozium.ai/instance=orphan")
        return [run["metadata"]["name"] for run in runs if run.get("status", {}).get("phase") == "Running"]

    def left() -> list[str]:
        found = namespace.list(KINDS, "-l", "sympozium.ai/instance=orphan")
        return [f"{item['kind']} {item['metadata']['name']}" for item in found]

    with ThreadPoolExecutor() as pool:
        asked = pool.submit(orphan.chat)
        [run] = until(working, within=30)
        with uninstalled():
            answer = asked.result()
            assert len(answer.json()["choices"][0]["message"]["content"].split()) == 100
            assert namespace.run_ends(run)["phase"] == "Succeeded"
            assert orphan.http.get("/v1/models").status_code == 200
            namespace.apply(agent_run("patient", task="hello"))

            namespace.delete("instance", "orphan")
            until(lambda: not left(), within=60, why=left)
            assert "phase" not in namespace.status("run", "patient")
    assert namespace.run_ends("patient", within=90)["phase"] == "Succeeded"


def test_the_kinds_and_their_objects_outlive_the_chart_of_the_kinds(chat: Endpoint, system: Namespace) -> None:
    """Each CRD has the annotation `helm.sh/resource-policy: keep`."""

    def uids() -> dict[str, str]:
        crds = [crd["metadata"] for crd in system.list("crds") if crd["spec"]["group"] == "sympozium.ai"]
        objects = [found["metadata"] for found in chat.namespace.list("instances")]
        return {found["name"]: found["uid"] for found in [*crds, *objects]}

    before = uids()
    assert {"agentruns.sympozium.ai", "sympoziuminstances.sympozium.ai", chat.instance} <= set(before)
    helm("uninstall", "sympozium-crds", "--wait")
    try:
        assert uids() == before
        assert chat.chat().status_code == 200
    finally:
        helm("install", "sympozium-crds", "charts/sympozium-crds", "--take-ownership", "--force-conflicts", "--wait")
    assert uids() == before


def restored(body: Object) -> Object:
    """An object to be made again as it was."""
    kept = {
        key: body["metadata"][key] for key in ("name", "namespace", "labels", "annotations") if key in body["metadata"]
    }
    return {key: value for key, value in body.items() if key != "status"} | {"metadata": kept}


def as_helm_did(namespace: Namespace, body: Object) -> None:
    """With Helm's name on its fields: a later ``helm upgrade`` is refused what somebody else has set."""
    namespace.kubectl("apply", "--server-side", "--field-manager=helm", "-f-", stdin=json.dumps(body))


def test_the_operator_waits_for_a_kind_that_was_deleted_and_goes_on_when_it_is_back(
    chat: Endpoint, system: Namespace
) -> None:
    """With the kind that costs others least; the objects of the other kinds would take all that was made for them along."""
    crd = restored(system.get("crd", "skillpacks.sympozium.ai"))
    packs = [restored(pack) for pack in json.loads(system.kubectl("get", "skillpacks", "-A", "-o", "json"))["items"]]

    def operator() -> Object:
        [pod] = system.list("pods", "-l", "app.kubernetes.io/component=operator")
        found: Object = pod["status"]["containerStatuses"][0]
        return found

    def log() -> str:
        with suppress(Refused):  # its container is about to start again
            return system.kubectl("logs", "deployment/sympozium-operator", "--tail=3")
        return ""

    def has_started_again() -> bool:
        return operator()["restartCount"] == before + 1 and "running" in operator()["state"]

    before = operator()["restartCount"]
    system.delete("crd", "skillpacks.sympozium.ai")
    try:
        until(lambda: "waiting for it" in log(), within=60, why=log)
        until(has_started_again, within=30, why=operator)  # the kubelet reports it later than the log shows it
        assert chat.http.get("/v1/models").status_code == 200
    finally:
        as_helm_did(system, crd)
        until(lambda: is_established(system, "skillpacks.sympozium.ai"), within=30)
        for pack in packs:
            as_helm_did(Namespace(pack["metadata"]["namespace"]), pack)
    assert chat.serves().chat().status_code == 200
    assert operator()["restartCount"] == before + 1
