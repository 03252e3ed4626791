"""The rights that the chart grants, for the whole cluster and for a list of namespaces."""

import pytest
from tests.e2e.chart_rendering import NAMESPACE, pick, pod_of, rendered, variables

from sympozium_api import names
from sympozium_api.resources import RUN_PARTS, RUNS
from sympozium_api.run import AgentRun
from sympozium_operator.desired.rbac import server_access
from sympozium_operator.operator_settings import from_environment


def test_nobody_may_list_secrets_or_has_every_right() -> None:
    for item in rendered():
        for rule in item.get("rules", []) if item["kind"] in ("Role", "ClusterRole") else []:
            assert "*" not in [word for words in rule.values() for word in words]
            assert not {"escalate", "bind", "impersonate", "deletecollection"} & set(rule["verbs"])
            if "secrets" in rule.get("resources", []):
                assert item["metadata"]["name"] == "sympozium-operator"
                assert not {"list", "watch"} & set(rule["verbs"])


def test_the_runs_server_reads_the_whole_question_of_a_run_whose_web_endpoint_was_removed() -> None:
    rules = pick(rendered(), "ClusterRole", "sympozium-runs")["rules"]
    readable = {name for rule in rules if "get" in rule["verbs"] for name in rule.get("resources", [])}
    assert {RUNS.plural, RUN_PARTS.plural} <= readable


def test_no_role_of_the_chart_has_the_name_of_those_that_the_operator_keeps_for_the_egress_guard() -> None:
    for documents in (rendered(), rendered(TestAListOfNamespaces.LIST)):
        roles = [item for item in documents if item["kind"] in ("Role", "RoleBinding")]
        assert names.EGRESS not in [item["metadata"]["name"] for item in roles]


def test_the_egress_guard_may_write_nothing_but_events_and_tokens_of_its_own_account() -> None:
    roles = [item for item in rendered() if item["kind"].endswith("Role") and "egress" in item["metadata"]["name"]]
    rules = [rule for role in roles for rule in role["rules"]]
    assert {verb for rule in rules for verb in rule["verbs"]} == {"get", "list", "create"}
    events, token = [rule for rule in rules if "create" in rule["verbs"]]
    assert (events["resources"], events["verbs"]) == (["events"], ["create"])
    assert (token["resources"], token["resourceNames"]) == (["serviceaccounts/token"], [names.EGRESS])


class TestAListOfNamespaces:
    LIST = "namespaces={team-a,team-b}"
    SERVED = ("team-a", "team-b", NAMESPACE)

    def test_nothing_is_cluster_wide(self) -> None:
        assert {item["kind"] for item in rendered()} >= {"ClusterRole", "ClusterRoleBinding"}
        assert not [item["metadata"]["name"] for item in rendered(self.LIST) if item["kind"].startswith("Cluster")]

    @pytest.mark.parametrize("name", ["sympozium-operator", "sympozium-runs"])
    def test_each_of_them_has_the_same_rules_as_the_whole_cluster(self, name: str) -> None:
        whole = pick(rendered(), "ClusterRole", name)["rules"]
        listed = rendered(self.LIST)
        roles = [item for item in listed if item["kind"] == "Role" and item["metadata"]["name"] == name]
        bindings = [item for item in listed if item["kind"] == "RoleBinding" and item["metadata"]["name"] == name]
        assert tuple(role["metadata"]["namespace"] for role in roles) == self.SERVED
        assert tuple(binding["metadata"]["namespace"] for binding in bindings) == self.SERVED
        of_no_namespace = [
            rule for rule in whole if rule.get("resources", []) in ([], ["nodes"], ["gatewayclasses"], ["namespaces"])
        ]
        for role in roles:
            assert [*role["rules"], *of_no_namespace] == whole
        for binding in bindings:
            assert binding["roleRef"] == {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": name}
            assert binding["subjects"] == [{"kind": "ServiceAccount", "name": name, "namespace": NAMESPACE}]

    def test_the_operator_is_told(self) -> None:
        told = from_environment(variables(pod_of(rendered(self.LIST), "sympozium-operator")))
        assert told.watch_namespaces == self.SERVED
        assert "SYMPOZIUM_WATCH_NAMESPACES" not in variables(pod_of(rendered(), "sympozium-operator"))

    def test_the_releases_own_may_be_in_the_list(self) -> None:
        told = from_environment(variables(pod_of(rendered(f"namespaces={{{NAMESPACE}}}"), "sympozium-operator")))
        assert told.watch_namespaces == (NAMESPACE,)


POLICIES = "ValidatingAdmissionPolicy"


@pytest.mark.parametrize(
    ("values", "number"), [((), 7), (("admissionPolicies.enabled=false",), 0), (("namespaces={team-a}",), 0)]
)
def test_each_admission_policy_is_bound_and_none_is_where_nothing_may_be_cluster_wide(
    values: tuple[str, ...], number: int
) -> None:
    documents = [item for item in rendered(*values) if item["kind"].startswith(POLICIES)]
    policies = {item["metadata"]["name"]: item for item in documents if item["kind"] == POLICIES}
    bound = {item["spec"]["policyName"]: item["spec"] for item in documents if item["kind"] != POLICIES}
    assert len(policies) == number
    assert bound.keys() == policies.keys()
    assert {tuple(spec["validationActions"]) for spec in bound.values()} <= {("Deny",)}
    assert {policy["spec"]["failurePolicy"] for policy in policies.values()} <= {"Fail"}


def test_the_operator_holds_all_that_it_grants() -> None:
    run = AgentRun.model_validate(
        {"metadata": {"name": "a-web-endpoint", "namespace": "n"}, "spec": {"agentRef": "a", "mode": "server"}}
    )
    [role] = [item for item in server_access(run) if item["kind"] == "Role"]
    held = {
        (group, resource, verb)
        for rule in pick(rendered(), "ClusterRole", "sympozium-operator")["rules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }
    for rule in role["rules"]:
        [group] = rule["apiGroups"]
        assert {(group, resource, verb) for resource in rule["resources"] for verb in rule["verbs"]} <= held
