import json
from typing import Any

import pytest
from tests.fakes.kubernetes import FakeKubernetes, api_error
from tests.integration.cli.conftest import Plugin
from tests.unit.cli.test_health import schemas

from sympozium_api.client import ResourceType
from sympozium_api.resources import DEPLOYMENTS, LEASES, Object

FORBIDDEN = 'User "eve" cannot get resource "deployments" in API group "apps" in the namespace "sympozium-system"'


class WithReviews(FakeKubernetes):
    """Answers what a user may do: everything but reading Secrets."""

    async def review(self, kind: ResourceType, body: Object) -> Object:
        assert kind.plural == "selfsubjectaccessreviews"
        return body | {"status": {"allowed": body["spec"]["resourceAttributes"]["resource"] != "secrets"}}


@pytest.fixture
def kubernetes() -> FakeKubernetes:
    kubernetes = WithReviews()
    kubernetes.documents["/version"] = {"gitVersion": "v1.34.1"}
    kubernetes.documents["/openapi/v3/apis/sympozium.ai/v1alpha1"] = {"components": {"schemas": schemas("crds")}}
    return kubernetes


def states(out: str) -> dict[str, Any]:
    return {finding["check"]: finding["state"] for finding in json.loads(out)}


def test_an_installation_without_an_operator_is_ill_and_the_exit_code_says_so(plugin: Plugin) -> None:
    done = plugin("doctor", "-o", "json")
    assert done.code == 1
    assert states(done.out) == {
        "cluster": "ok",
        "kinds": "ok",
        "operator": "failed",
        "lease": "failed",
        "images": "ok",
        "gateway": "ok",
        "instances": "ok",
        "rights": "warning",
    }
    assert plugin("doctor", "-o", "name").out == "operator\nlease\n"
    table = plugin("doctor").out
    assert "missing in namespace default: get secrets (key, chat token by token)" in table
    assert "-> helm install sympozium" in table


def test_what_a_user_may_not_see_is_unknown_and_no_failure(plugin: Plugin, kubernetes: FakeKubernetes) -> None:
    for kind in (DEPLOYMENTS, LEASES):
        kubernetes.refuse("get", kind, api_error(403, "Forbidden", FORBIDDEN))
    done = plugin("doctor", "-o", "json")
    assert done.code == 0
    assert (states(done.out)["operator"], states(done.out)["lease"]) == ("unknown", "unknown")
    assert "cannot get resource" in done.out


def test_a_cluster_that_is_away_has_no_findings(plugin: Plugin, kubernetes: FakeKubernetes) -> None:
    kubernetes.documents.clear()
    done = plugin("doctor")
    assert (done.code, done.out) == (3, "")


def test_a_console_that_is_not_there_is_said(plugin: Plugin) -> None:
    done = plugin("open", "runs")
    assert (done.code, "console.enabled" in done.err) == (1, True)
