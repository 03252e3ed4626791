from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from sympozium_cli import health
from sympozium_cli.health import RIGHTS, Finding

ROOT = Path(__file__).parents[3]
NOW = datetime(2026, 1, 1, tzinfo=UTC)
Object = dict[str, Any]


def schemas(folder: str) -> Object:
    """The kinds of a folder, as the API server's OpenAPI document has them."""
    found = {}
    for file in (ROOT / folder).glob("*.yaml"):
        spec = yaml.safe_load(file.read_text())["spec"]
        kind = spec["names"]["kind"]
        schema = spec["versions"][0]["schema"]["openAPIV3Schema"]
        found[f"ai.sympozium.v1alpha1.{kind}"] = schema | {
            "x-kubernetes-group-version-kind": [{"group": spec["group"], "kind": kind, "version": "v1alpha1"}]
        }
    return found


def test_kinds_of_this_version_are_fine_and_older_ones_are_named_with_what_helps() -> None:
    assert health.kinds(schemas("crds")).state == "ok"
    older = health.kinds(schemas("tests/fixtures/crds-0.2.0"))
    assert (older.state, "older than this command" in older.detail) == ("failed", True)
    assert older.help == "helm upgrade --install sympozium-crds charts/sympozium-crds"
    without_keys = {name: schema for name, schema in schemas("crds").items() if not name.endswith("APIKey")}
    assert health.kinds(without_keys).detail == "they are older than this command: without APIKey"
    absent = health.kinds({})
    assert (absent.state, "SympoziumInstance" in absent.detail) == ("failed", True)


def deployment(version: str = "0.3.0", **status: int) -> Object:
    return {"metadata": {"labels": {"app.kubernetes.io/version": version}}, "status": status}


@pytest.mark.parametrize(
    ("body", "state", "said"),
    [
        (deployment(availableReplicas=1), "ok", "version 0.3.0"),
        (deployment("0.4.0", availableReplicas=1), "warning", "its version is 0.4.0, this command's 0.3.0"),
        (deployment(), "failed", "none of its pods is available"),
        (None, "failed", "namespace sys has no Deployment sympozium-operator"),
    ],
)
def test_the_operator(body: Object | None, state: str, said: str) -> None:
    finding = health.operator(body, "0.3.0", "sys")
    assert (finding.state, said in finding.detail, bool(finding.help)) == (state, True, state != "ok")


@pytest.mark.parametrize(("age", "state"), [(10, "ok"), (59, "ok"), (61, "failed"), (None, "failed")])
def test_an_operator_works_while_its_lease_is_renewed(age: int | None, state: str) -> None:
    renewed = {} if age is None else {"renewTime": (NOW - timedelta(seconds=age)).isoformat()}
    finding = health.lease([{"spec": {"leaseDurationSeconds": 15, "holderIdentity": "me"} | renewed}], NOW, "sys")
    assert finding.state == state
    assert "kubectl -n sys logs" in finding.help or state == "ok"
    assert health.lease([None], NOW, "sys").state == "failed"


def test_operators_work_while_the_lease_of_each_shard_is_renewed() -> None:
    def held(holder: str, age: int) -> Object:
        renewed = (NOW - timedelta(seconds=age)).isoformat()
        return {"spec": {"leaseDurationSeconds": 15, "holderIdentity": holder, "renewTime": renewed}}

    assert health.lease([held("a/3", 1), held("b/3", 2), held("a/3", 3)], NOW, "sys").detail == "a, b work on 3 shards"
    assert health.lease([held("a/2", 1), held("a/2", 2)], NOW, "sys").detail == "a works on 2 shards"
    stale = health.lease([held("a/2", 1), held("b/2", 90)], NOW, "sys")
    assert (stale.state, stale.detail) == ("failed", "no operator works on shard 1 of 2: its lease is 90 s old")
    assert health.lease([held("a/2", 1), None], NOW, "sys").detail == "no operator has ever worked on shard 1 of 2"


def test_a_pod_without_its_image_is_named() -> None:
    waiting = {"name": "c", "image": "nowhere/image:1", "state": {"waiting": {"reason": "ImagePullBackOff"}}}
    starting = {"name": "c", "image": "i", "state": {"waiting": {"reason": "ContainerCreating"}}}
    pods: list[Object] = [
        {"metadata": {"name": "bad"}, "status": {"containerStatuses": [waiting]}},
        {"metadata": {"name": "new"}, "status": {"containerStatuses": [starting]}},
        {"metadata": {"name": "newest"}},
    ]
    assert health.images(pods, "sys").detail == "bad: nowhere/image:1 (ImagePullBackOff)"
    assert health.images(pods[1:], "sys").state == "ok"


def test_a_gateway_counts_if_one_is_configured() -> None:
    spec = {"gateway": {"enabled": True}}
    conditions = [{"status": "False", "reason": "NoClass", "message": "there is no class x"}]
    assert health.gateway(None, "sys").state == "ok"
    assert health.gateway({"spec": spec, "status": {"gateway": {"ready": True, "address": "a.b"}}}, "sys") == Finding(
        "gateway", "ok", "ready at a.b"
    )
    wrong = health.gateway({"spec": spec, "status": {"conditions": conditions}}, "sys")
    assert (wrong.state, wrong.detail) == ("failed", "NoClass: there is no class x")


def test_instances_that_are_not_ready_are_named_with_their_reasons() -> None:
    ready = {"metadata": {"name": "a", "namespace": "n"}, "status": {"phase": "Running"}}
    condition = {"type": "Ready", "status": "False", "reason": "SecretNotFound", "message": "there is no Secret x"}
    wrong = {"metadata": {"name": "b", "namespace": "n"}, "status": {"phase": "Pending", "conditions": [condition]}}
    assert health.instances([ready], "here").detail == "1 here, all as they should be"
    finding = health.instances([ready, wrong], "here")
    assert finding.detail == "1 of 2 here not ready: b: Pending, SecretNotFound: there is no Secret x"
    assert finding.help == "kubectl -n n describe instance b"


def test_missing_rights_are_said_in_rbacs_words_with_what_they_are_for() -> None:
    finding = health.rights({right: right.resource != "pods" for right in RIGHTS}, "in namespace n")
    assert finding.detail == (
        "missing in namespace n: create pods/portforward (chat token by token, open), get pods/log (logs)"
    )
    assert health.rights(dict.fromkeys(RIGHTS, True), "here").state == "ok"
