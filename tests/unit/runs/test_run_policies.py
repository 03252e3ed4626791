"""Ways past a policy by a run's fields and a request's: each ends without a task, and limits cannot be raised."""

import json
from typing import Any

import pytest
from tests.fakes.kubernetes import FakeKubernetes
from tests.unit.api.policies import effective_policy
from tests.unit.runs.test_agent_task import config_map, instance, run

from sympozium_api import agent_document, names
from sympozium_api.agent_document import AgentDocument
from sympozium_api.client import ApiUnavailable
from sympozium_api.effective_policy import BoundPolicy, EffectivePolicy
from sympozium_api.instance import SympoziumInstance
from sympozium_api.resolved_model import ResolvedModel
from sympozium_api.resources import CONFIG_MAPS
from sympozium_http.refusal import Refusal
from sympozium_runs import agent_task
from sympozium_runs.agent_api_metrics import AgentApiMetrics
from sympozium_runs.agent_documents import AgentDocuments
from sympozium_runs.run_bounds import PolicyRefused
from sympozium_runs.run_policies import RunPolicies


def document(*specs: dict[str, Any]) -> AgentDocument:
    return AgentDocument(policy=effective_policy(*specs))


def of_model(**fields: Any) -> dict[str, Any]:
    return {"model": fields}


STRICT = {
    "models": {"allow": ["openai_compat:smollm2"], "deny": ["*:*large*"]},
    "providers": {"allow": ["openai_compat"]},
    "egressHosts": {"allow": ["model"]},
    "delegation": False,
}
_RUNS: list[dict[str, Any]] = [
    *(
        of_model(model=name)
        for name in ("gpt-4o", "smollm2x", "xsmollm2", "SMOLLM2", "smollm2 ", " smollm2", "smollm2:big")
    ),
    *(
        of_model(model=name)
        for name in ("openai_compat:smollm2", "smollm2\n", "smollm2\u200b", "*", "smol*", "a-large-one")
    ),
    *(
        of_model(baseURL=f"http://{host}/v1")
        for host in ("evil.org", "model.evil.org", "evilmodel", "MODEL2", "10.0.0.1")
    ),
    *(
        of_model(baseURL=url)
        for url in ("http://model@evil.org/v1", "http://evil.org#model/v1", "http://evil.org\\@model/")
    ),
    *(
        of_model(baseURL=url)
        for url in ("http://model./v1", "http://model%2e.evil.org/", "http://[::1]/v1", "http://0x7f1/")
    ),
    *(
        of_model(baseURL=url)
        for url in ("http://model:99999/", "http:///v1", "http://model\t.evil.org/", "http://*/v1")
    ),
    of_model(model="gpt-4o", baseURL="http://model/v1"),
    of_model(model="smollm2", baseURL="http://evil.org/v1", authSecretRef="keys"),
    {"parent": "other"},
    {"parent": "other", "model": {"model": "smollm2"}},
]


@pytest.mark.parametrize("spec", _RUNS, ids=str)
def test_a_run_that_asks_for_more_has_no_task(spec: dict[str, Any]) -> None:
    with pytest.raises(PolicyRefused, match="SympoziumPolicy p0"):
        agent_task.build(run(**spec), instance(), (), document(STRICT), seconds_left=60)
    assert agent_task.end_of(PolicyRefused.__new__(PolicyRefused))["error"]["httpStatus"] == 403


@pytest.mark.parametrize(
    "spec",
    [
        {},
        of_model(model="smollm2"),
        of_model(baseURL="http://model/v2"),
        of_model(baseURL="http://MODEL:8080/v1"),
        {"toolPolicy": {"allow": ["*"]}},
    ],
    ids=str,
)
def test_a_run_within_the_policy_has_a_task(spec: dict[str, Any]) -> None:
    assert agent_task.build(run(**spec), instance(), (), document(STRICT), seconds_left=60)


@pytest.mark.parametrize(
    ("request_body", "sent"),
    [
        ({}, 100),
        ({"max_tokens": 5}, 5),
        ({"max_tokens": 101}, 100),
        ({"max_tokens": 10**9}, 100),
        ({"max_tokens": -1}, 100),
        ({"max_tokens": "999999"}, 100),
        ({"max_tokens": None}, 100),
        ({"max_completion_tokens": 999}, 100),
        ({"max_tokens": 1, "max_completion_tokens": 999}, 1),
        ({"n": 4}, 25),
        ({"n": 4, "max_tokens": 100}, 25),
        ({"n": 128}, 1),
        ({"n": 2.0}, 1),
        ({"n": "4"}, 1),
        ({"n": True}, 1),
        ({"n": -1}, 1),
        ({"n": None}, 100),
        ({"n": 1, "best_of": 50}, 2),
    ],
    ids=str,
)
def test_no_request_is_sent_with_more_tokens_than_the_policy_lets_a_run_write(
    request_body: dict[str, Any], sent: int
) -> None:
    messages = [{"role": "user", "content": "Hi"}]
    asked = run(task=None, request={"messages": messages, **request_body})
    task = agent_task.build(asked, instance(), (), document({"limits": {"outputTokens": 100}}), seconds_left=60)
    numbers = {
        name: json.loads(task["request"][name])
        for name in ("max_tokens", "max_completion_tokens")
        if task["request"].get(name, "null") != "null"
    }
    assert min(numbers.values()) == sent
    assert all(number <= 100 for number in numbers.values())


@pytest.mark.parametrize(
    ("prompt", "n", "sent"),
    [("Hi", 1, 100), ([1, 2, 3], 1, 100), (["a", "b", "c", "d"], 1, 25), ([[1], [2]], 5, 10), (["a"] * 500, 1, 1)],
    ids=str,
)
def test_each_of_several_prompts_has_its_part_of_the_tokens(prompt: Any, n: int, sent: int) -> None:
    asked = run(task=None, request={"prompt": prompt, "n": n, "max_tokens": 100})
    task = agent_task.build(asked, instance(), (), document({"limits": {"outputTokens": 100}}), seconds_left=60)
    assert json.loads(task["request"]["max_tokens"]) == sent


@pytest.mark.parametrize("field", ["models", "fallbacks", "context_window_fallbacks", "content_policy_fallbacks"])
def test_a_request_names_no_models_beside_its_own(field: str) -> None:
    asked = run(task=None, request={"messages": [{"role": "user", "content": "Hi"}], field: ["gpt-4o"]})
    with pytest.raises(PolicyRefused, match=f"the request's field {field} is not allowed by the SympoziumPolicy p0"):
        agent_task.build(asked, instance(), (), document(STRICT), seconds_left=60)
    assert agent_task.build(asked, instance(), (), document({}), seconds_left=60)


def test_a_key_of_the_runs_own_does_not_give_a_providers_model_another_name() -> None:
    server = ResolvedModel(ref="cloud", name="small", title="cloud:small", base_url="http://model/v1")
    made = document({"models": {"deny": ["cloud:large"]}}).model_copy(update={"models": [server]})
    own = of_model(model="large", authSecretRef="own")
    with pytest.raises(PolicyRefused, match=r"the model cloud:large is not allowed by the SympoziumPolicy p0"):
        agent_task.build(run(**own), instance(), (), made, seconds_left=60)
    allowed = agent_task.build(
        run(**of_model(model="tiny", authSecretRef="own")), instance(), (), made, seconds_left=60
    )
    assert "key" not in allowed["model"]


@pytest.mark.parametrize("own", ["24h", "1h", None])
def test_a_runs_timeout_is_at_most_the_policys(own: str | None) -> None:
    asked = run(**({"timeout": own} if own else {}))
    content = agent_task.content(
        asked, instance(), (), document({"limits": {"timeout": "30s"}}), headers={}, surface=None
    )
    assert json.loads(content)["timeoutSeconds"] == 30


def test_a_policy_that_is_not_in_force_leaves_no_task() -> None:
    broken = AgentDocument(policy=EffectivePolicy(policies=[BoundPolicy(name="broken", flaw="spec.x: wrong")]))
    with pytest.raises(PolicyRefused, match=r"broken is not in force \(spec.x: wrong\)"):
        agent_task.build(run(), instance(), (), broken, seconds_left=60)


# The document itself.


def documented(made: AgentDocument) -> tuple[FakeKubernetes, SympoziumInstance]:
    cluster = FakeKubernetes()
    cluster.put(config_map(made))
    return cluster, instance(agentDocument=agent_document.digest(made))


async def test_a_document_that_was_edited_by_hand_does_not_count() -> None:
    cluster, found = documented(document(STRICT))
    now = [0.0]
    documents = AgentDocuments(cluster, lambda: now[0])
    strict = await documents.of(found)
    cluster.put(config_map(document({})))
    assert await documents.of(found) == strict
    later = instance(agentDocument="0123456789abcdef")
    assert await documents.of(later) == strict
    now[0] = 6
    with pytest.raises(ApiUnavailable):
        await documents.of(later)
    with pytest.raises(ApiUnavailable):
        await AgentDocuments(cluster).of(found)
    cluster.remove(CONFIG_MAPS, names.installed_skills("demo"), "default")
    with pytest.raises(ApiUnavailable):
        await AgentDocuments(cluster).of(found)


async def test_each_change_of_a_document_has_the_whole_time_to_arrive() -> None:
    cluster, found = documented(document(STRICT))
    now = [0.0]
    documents = AgentDocuments(cluster, lambda: now[0])
    strict = await documents.of(found)
    later = instance(agentDocument="0123456789abcdef")
    for _ in range(3):
        assert await documents.of(later) == strict
        now[0] += 60
        assert await documents.of(found) == strict


# Requests.


@pytest.mark.parametrize("model", ["gpt-4o", "SMOLLM2", "smollm2 ", "openai_compat:smollm2", "a-large-one", "*", ""])
async def test_a_request_for_a_model_that_is_denied_is_refused(model: str) -> None:
    cluster, found = documented(document(STRICT))
    metrics = AgentApiMetrics()
    policies = RunPolicies(AgentDocuments(cluster), metrics)
    if model:
        with pytest.raises(Refusal) as refused:
            await policies.admitted(found, model)
        assert (refused.value.status, refused.value.code, refused.value.param) == (403, "policy_denied", "model")
        assert "SympoziumPolicy p0 (models." in refused.value.message
        assert metrics.registry.get_sample_value("sympozium_policy_denied_total", {"kind": "models"}) == 1
    else:
        assert await policies.admitted(found, None)


async def test_only_permitted_models_are_listed() -> None:
    cluster, found = documented(document({"models": {"deny": ["*:other"]}}))
    policies = RunPolicies(AgentDocuments(cluster), AgentApiMetrics())
    assert await policies.permitted_models(found, ["smollm2", "demo", "default", "other"]) == [
        "smollm2",
        "demo",
        "default",
    ]
    cluster, found = documented(document({"models": {"deny": ["*:smollm2"]}}))
    policies = RunPolicies(AgentDocuments(cluster), AgentApiMetrics())
    assert await policies.permitted_models(found, ["smollm2", "demo", "default", "other"]) == ["other"]


async def test_an_instance_gets_the_smaller_limits() -> None:
    cluster, found = documented(document({"limits": {"concurrentRuns": 2, "timeout": "1m"}}))
    bounded = await RunPolicies(AgentDocuments(cluster), AgentApiMetrics()).admitted(found, None)
    assert bounded.spec.max_concurrent_runs == 2
    assert bounded.spec.agents.default.run_timeout == "1m"
