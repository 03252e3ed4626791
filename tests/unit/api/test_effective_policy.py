"""The strictest of all policies counts: lists, limits, switches, and what binds an instance."""

import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.api.policies import NAMESPACE, OPERATORS, effective_policy, instance, policy, policy_manifest

from sympozium_api import effective_policy as strictest
from sympozium_api.effective_policy import ListedField, ToolFacts
from sympozium_api.policy import NamespaceSelector
from sympozium_api.policy_binding import PolicySources, candidate, effective, selects
from sympozium_api.policy_patterns import matches, whole_image

_ALLOWED: list[tuple[ListedField, list[dict[str, Any]], str]] = [
    ("tools", [{}], "get_weather"),
    ("tools", [{"allow": ["get_*"]}], "get_weather"),
    ("tools", [{"allow": ["get_*"]}, {"allow": ["*_weather"]}], "get_weather"),
    ("tools", [{"deny": ["set_*"]}, {}], "get_weather"),
    ("models", [{"allow": ["openai_compat:gpt-*"]}], "openai_compat:gpt-4o"),
    ("models", [{"allow": ["*:llama3:8b"]}], "openai_compat:llama3:8b"),
    ("models", [{"allow": ["*"]}], "openai_compat:llama3:8b"),
    ("models", [{"deny": ["local:llama3:latest"]}], "local:llama3:8b"),
    ("providers", [{"allow": ["openai_compat"]}], "openai_compat"),
    ("images", [{"allow": ["docker.io/library/*"]}], "nginx"),
    ("egressHosts", [{"allow": ["*.example.com"]}], "a.b.example.com"),
    ("egressHosts", [{"deny": ["*.svc.cluster.local"]}], "example.com"),
    ("egressHosts", [{"deny": ["*.payments.svc.cluster.local", "payments"]}], "db"),
    ("egressHosts", [{"deny": ["db.team.svc"]}], "10.0.0.1"),
]
_DENIED: list[tuple[ListedField, list[dict[str, Any]], str, str]] = [
    ("tools", [{"deny": ["*"]}], "get_weather", "p0 (tools.deny)"),
    ("tools", [{"allow": ["get_weather"], "deny": ["get_weather"]}], "get_weather", "p0 (tools.deny)"),
    ("tools", [{"allow": ["get_*"]}, {"allow": ["set_*"]}], "get_weather", "p1 (tools.allow)"),
    ("tools", [{"allow": ["get_*"]}, {"deny": ["*weather"]}], "get_weather", "p1 (tools.deny)"),
    ("tools", [{"allow": ["get_weather"]}], "Get_Weather", "p0 (tools.allow)"),
    ("tools", [{"deny": ["get_weather"]}], "GET_weather", "p0 (tools.deny)"),
    ("tools", [{"allow": ["get_weather"]}], "get_weather2", "p0 (tools.allow)"),
    ("tools", [{"allow": ["get_weather"]}], "xget_weather", "p0 (tools.allow)"),
    ("tools", [{"allow": ["a*a"]}], "a", "p0 (tools.allow)"),
    ("models", [{"allow": ["openai_compat:gpt-4o"]}], "openai_compat:gpt-4o-mini", "p0 (models.allow)"),
    ("models", [{"allow": ["open*:gpt-4o"]}], "openai_compat:evil:gpt-4o", "p0 (models.allow)"),
    ("models", [{"deny": ["*:gpt-4*"]}], "openai_compat:GPT-4o", "p0 (models.deny)"),
    ("models", [{"deny": ["*:gpt-4*"]}], "openai_compat: gpt-\u200b4o ", "p0 (models.deny)"),
    ("models", [{"deny": ["*:gpt-4*"]}], "openai_compat:\uff47\uff50\uff54-4o", "p0 (models.deny)"),
    ("models", [{"deny": ["*:kimi"]}], "openai_compat:\u212aimi", "p0 (models.deny)"),
    ("models", [{"deny": ["google:gemini-2.5-pro"]}], "google:models/gemini-2.5-pro", "p0 (models.deny)"),
    ("models", [{"deny": ["google:models/gemini-2.5-pro"]}], "google:gemini-2.5-pro", "p0 (models.deny)"),
    ("models", [{"deny": ["local:llama3"]}], "local:llama3:latest", "p0 (models.deny)"),
    ("models", [{"deny": ["local:llama3:latest"]}], "local:Llama3", "p0 (models.deny)"),
    ("models", [{"allow": ["google:gemini-*"]}], "google:models/gemini-2.5-pro", "p0 (models.allow)"),
    ("models", [{"deny": ["*:GPT-4*"]}], "openai_compat:gpt-4o", "p0 (models.deny)"),
    ("images", [{"deny": ["docker.io/*"]}], "nginx", "p0 (images.deny)"),
    ("images", [{"deny": ["docker.io/acme/*"]}], "acme/tool", "p0 (images.deny)"),
    ("images", [{"deny": ["docker.io/acme/*"]}], "index.docker.io/acme/tool", "p0 (images.deny)"),
    ("images", [{"allow": ["ghcr.io/acme/*"]}], "ghcr.io/acme-evil/tool", "p0 (images.allow)"),
    ("egressHosts", [{"allow": ["*.example.com"]}], "example.com", "p0 (egressHosts.allow)"),
    ("egressHosts", [{"allow": ["api.example.com"]}], "api.example.com.evil.org", "p0 (egressHosts.allow)"),
    ("egressHosts", [{"allow": ["api.example.com"]}], "apixexample.com", "p0 (egressHosts.allow)"),
    ("egressHosts", [{"allow": ["db.team.svc"]}], "db", "p0 (egressHosts.allow)"),
    *(
        ("egressHosts", [{"deny": [pattern]}], host, "p0 (egressHosts.deny)")
        for pattern, hosts in {
            "*.payments.svc.cluster.local": ("db.payments", "db.payments.svc", "db.payments.svc.corp.example"),
            "db.payments": ("db.payments.svc", "db.payments.svc.cluster.local", "DB.Payments"),
            "db": ("db.team", "db.team.svc", "db.team.svc.cluster.local"),
            "*.svc.cluster.local": ("db", "db.payments.svc"),
            "*.svc.corp.example": ("db", "db.payments.svc", "db.payments.svc.cluster.local"),
            "*.team.svc": ("db",),
            "*.payments": ("db-0.db.payments.svc", "db-0.db.payments.svc.cluster.local"),
            "*.db.payments.svc": ("db-0.db.payments", "db-0.db.payments.svc.cluster.local"),
        }.items()
        for host in hosts
    ),
]


@pytest.mark.parametrize(("field", "rules", "value"), _ALLOWED)
def test_all_policies_allow_it(field: ListedField, rules: list[dict[str, Any]], value: str) -> None:
    assert strictest.listed(effective_policy(*({str(field): each} for each in rules)), field, value) is None


@pytest.mark.parametrize(("field", "rules", "value", "where"), _DENIED)
def test_one_policy_denies_it(field: ListedField, rules: list[dict[str, Any]], value: str, where: str) -> None:
    denial = strictest.listed(effective_policy(*({str(field): each} for each in rules)), field, value)
    assert denial is not None
    assert denial.kind == field
    assert str(denial).endswith(f"is not allowed by the SympoziumPolicy {where}")


@pytest.mark.parametrize("pattern", ["*.svc", "*.svc.cluster.local", "*.svc.corp.example", "db.*.svc.corp.example"])
def test_a_short_name_is_denied_as_that_of_a_service_whatever_the_clusters_domain(pattern: str) -> None:
    policy = effective_policy({"egressHosts": {"deny": [pattern]}})
    assert strictest.is_denied_as_service(policy, "db.payments")
    assert strictest.listed(policy, "egressHosts", "db.example.com") is None


def test_no_policy_allows_everything() -> None:
    assert strictest.listed(None, "tools", "anything") is None
    assert strictest.limits(None).model_dump(exclude_none=True) == {}


def test_the_smallest_limit_counts() -> None:
    limits = strictest.limits(
        effective_policy(
            {"limits": {"iterations": 5, "toolCalls": 0, "timeout": "1h", "outputTokens": 10}},
            {"limits": {"iterations": 9, "toolCalls": 3, "timeout": "90s", "concurrentRuns": 2}},
            {},
        )
    )
    assert limits.model_dump(by_alias=True, exclude_none=True) == {
        "iterations": 5,
        "toolCalls": 0,
        "outputTokens": 10,
        "timeout": "90s",
        "concurrentRuns": 2,
    }
    settings = strictest.fetch_url(
        effective_policy(
            {"builtinSettings": {"fetch_url": {"timeoutSeconds": 3}}},
            {"builtinSettings": {"fetch_url": {"timeoutSeconds": 9, "maxBytes": 2048}}},
        )
    )
    assert (settings.timeout_seconds, settings.max_bytes) == (3, 2048)


@pytest.mark.parametrize(
    ("spec", "facts", "kind"),
    [
        ({}, ToolFacts("run", command=True), "commands"),
        ({"commands": True}, ToolFacts("run", command=True), None),
        ({"requireSigned": True}, ToolFacts("get"), "requireSigned"),
        ({"requireSigned": True}, ToolFacts("get", signed=True), None),
        ({"requireSigned": True}, ToolFacts("fetch_url", "fetch_url", of_instance=True), None),
        ({"requireApproval": ["get*"]}, ToolFacts("get"), "requireApproval"),
        ({"requireApproval": ["get*"]}, ToolFacts("GET"), "requireApproval"),
        ({"builtins": {"deny": ["*"]}}, ToolFacts("read_page", "fetch_url"), "builtins"),
        ({"builtins": {"deny": ["*"]}}, ToolFacts("fetch_url", "fetch_url", of_instance=True), "builtins"),
        ({"builtins": {"deny": ["*"]}}, ToolFacts("get"), None),
        ({"tools": {"deny": ["*"]}}, ToolFacts("read_page", "fetch_url"), "tools"),
        ({"tools": {"deny": ["*"]}}, ToolFacts("fetch_url", "fetch_url", of_instance=True), None),
    ],
)
def test_tools_are_judged_by_what_they_are(spec: dict[str, Any], facts: ToolFacts, kind: str | None) -> None:
    denial = strictest.tool(effective_policy({"commands": True}, spec), facts)
    assert (denial and denial.kind) == kind


def test_delegated_runs_are_refused_where_one_policy_says_so() -> None:
    assert strictest.delegation(effective_policy({})) is None
    assert strictest.delegation(effective_policy({}, {"delegation": False}))


@given(
    st.lists(st.text(alphabet="ab*", min_size=1, max_size=6), min_size=1, max_size=3),
    st.text(alphabet="ab", max_size=8),
)
def test_a_policy_more_never_allows_more(patterns: list[str], value: str) -> None:
    fewer, more = (
        effective_policy({"tools": {"allow": patterns[:1]}}),
        [{"tools": {"allow": [each]}} for each in patterns],
    )
    if strictest.listed(effective_policy(*more), "tools", value) is None:
        assert strictest.listed(fewer, "tools", value) is None


def test_a_pattern_of_many_stars_is_quick() -> None:
    began = time.process_time()
    assert not matches("*a" * 64 + "b", "a" * 4096)
    assert time.process_time() - began < 1


@pytest.mark.parametrize("special", ["?", "[a]", ".", "(", "\\d", "+", "a|b", "$", "^", "\n"])
def test_only_the_star_is_special(special: str) -> None:
    assert matches(special, special)
    assert not matches(special, "a")
    assert matches(f"{special}*", f"{special}a")


def test_images_without_a_registry_are_docker_hubs() -> None:
    assert whole_image("nginx:1") == "docker.io/library/nginx:1"
    assert whole_image("localhost/a") == "localhost/a"
    assert whole_image("registry:5000/a") == "registry:5000/a"


# What binds an instance.


def _names(wanted: str | None, sources: PolicySources) -> list[str]:
    found = effective(instance(wanted), sources)
    return [each.name for each in found.policies] if found else []


def test_policies_bind_by_name_by_namespace_and_by_the_operators_selector() -> None:
    own = (policy("named"), policy("all", appliesTo="all"), policy("other"), policy("mine", namespaceSelector={}))
    there = (
        policy("everywhere", OPERATORS, namespaceSelector={}),
        policy("sales", OPERATORS, namespaceSelector={"matchLabels": {"team": "sales"}}),
        policy("named", OPERATORS),
        policy("of-operators", OPERATORS, appliesTo="all"),
    )
    sources = PolicySources(own, there, {"team": "support"})
    assert _names("named", sources) == ["all", "named", f"{OPERATORS}/everywhere"]
    assert _names(None, PolicySources(own, there, {"team": "sales"})) == [
        "all",
        f"{OPERATORS}/everywhere",
        f"{OPERATORS}/sales",
    ]
    assert _names(None, PolicySources()) == []


def test_labels_that_may_not_be_read_count_as_a_match_and_the_name_is_known() -> None:
    by_name = {"matchLabels": {"kubernetes.io/metadata.name": "elsewhere"}}
    there = (
        policy("sales", OPERATORS, namespaceSelector={"matchLabels": {"team": "sales"}}),
        policy("elsewhere", OPERATORS, namespaceSelector=by_name),
    )
    assert _names(None, PolicySources((), there, None)) == [f"{OPERATORS}/sales"]


@pytest.mark.parametrize(
    ("expression", "is_selected"),
    [
        ({"key": "team", "operator": "In", "values": ["sales", "support"]}, True),
        ({"key": "team", "operator": "In", "values": ["sales"]}, False),
        ({"key": "team", "operator": "NotIn", "values": ["support"]}, False),
        ({"key": "zone", "operator": "NotIn", "values": ["a"]}, True),
        ({"key": "zone", "operator": "Exists"}, False),
        ({"key": "zone", "operator": "DoesNotExist"}, True),
        ({"key": "kubernetes.io/metadata.name", "operator": "In", "values": [NAMESPACE]}, True),
    ],
)
def test_selectors_select_as_kubernetes_does(expression: dict[str, Any], is_selected: bool) -> None:
    selector = NamespaceSelector.model_validate({"matchExpressions": [expression]})
    assert selects(selector, NAMESPACE, {"team": "support"}) is is_selected


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ({"models": {"allow": ["gpt-4"]}}, ("spec.models.allow[0]", "provider:model")),
        ({"egressHosts": {"deny": ["https://x.org"]}}, ("spec.egressHosts.deny[0]", "without port")),
        ({"tools": {"allow": []}}, ("spec.tools.allow", "at least 1 item")),
        ({"limits": {"timeout": ""}}, ("spec.limits.timeout", "90s")),
        ({"limits": {"iterations": 0}}, ("spec.limits.iterations", "greater than or equal to 1")),
        ({"appliesTo": "some"}, ("spec.appliesTo", "'all'")),
        ({"namespaceSelector": {"matchLabels": {"a b": "c"}}}, ("spec.namespaceSelector.matchLabels", "label's key")),
        (
            {"namespaceSelector": {"matchExpressions": [{"key": "a", "operator": "In"}]}},
            ("spec.namespaceSelector.matchExpressions[0].values", "require values"),
        ),
        ({"namespaceSelector": {"matchExpressions": "a in (b)"}}, ("spec.namespaceSelector.matchExpressions", "list")),
    ],
)
def test_a_policy_that_cannot_be_parsed_refuses_what_it_may_bind(spec: dict[str, Any], words: tuple[str, ...]) -> None:
    broken = candidate(policy_manifest("broken", OPERATORS, **({"namespaceSelector": {}} | spec)))
    assert broken.flaw
    assert all(word in broken.flaw for word in words), broken.flaw
    denial = strictest.flaw(effective(instance(), PolicySources((), (broken,), {})))
    assert denial
    assert broken.flaw in str(denial)
    assert f"{OPERATORS}/broken" in str(denial)


def test_a_missing_policy_refuses_everything() -> None:
    found = effective(instance("absent"), PolicySources((policy("other"),)))
    denial = strictest.listed(found, "tools", "get")
    assert denial
    assert "absent is not in force (spec.policyRef of the instance: there is no such SympoziumPolicy)" in str(denial)


def test_too_many_patterns_refuse_everything() -> None:
    patterns = [f"{index}{'x' * 120}" for index in range(64)]
    lists = {"allow": patterns, "deny": patterns}
    own = tuple(policy(f"p{index}", appliesTo="all", egressHosts=lists, images=lists) for index in range(8))
    denial = strictest.flaw(effective(instance(), PolicySources(own)))
    assert denial
    assert "write fewer patterns" in str(denial)
