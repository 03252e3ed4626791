import json

import pytest
from tests.fakes.kubernetes import FakeKubernetes, api_error
from tests.integration.cli.conftest import Plugin, instance

from sympozium_api.resources import INSTANCES
from sympozium_cli.commands import switch

SKILLS = [{"skillPackRef": "triage"}, {"skillPackRef": "web-endpoint", "params": {"rate_limit_rpm": "5"}}]


def test_an_agent_is_switched_on_and_off_and_its_other_skills_stay(plugin: Plugin, kubernetes: FakeKubernetes) -> None:
    kubernetes.put(instance(skills=SKILLS[:1]))
    assert plugin("enable", "assistant").out == "sympoziuminstance.sympozium.ai/assistant enabled\n"
    assert kubernetes.object(INSTANCES, "assistant")["spec"]["webEndpoint"]["enabled"] is True
    assert plugin("enable", "assistant").out == "sympoziuminstance.sympozium.ai/assistant enabled already\n"
    assert plugin("disable", "assistant").out == "sympoziuminstance.sympozium.ai/assistant disabled\n"
    spec = kubernetes.object(INSTANCES, "assistant")["spec"]
    assert (spec["webEndpoint"]["enabled"], spec["skills"]) == (False, SKILLS[:1])


def test_a_limit_goes_into_the_skills_param_that_counts(plugin: Plugin, kubernetes: FakeKubernetes) -> None:
    kubernetes.put(instance(skills=SKILLS))
    done = plugin(
        "enable", "assistant", "--requests-per-minute", "30", "--burst", "4", "--hostname", "a.b", "-o", "json"
    )
    spec = json.loads(done.out)["spec"]
    assert spec["skills"][1]["params"] == {"rate_limit_rpm": "30"}
    assert spec["webEndpoint"]["rateLimit"]["burstSize"] == 4
    assert spec["webEndpoint"]["hostname"] == "a.b"
    assert plugin("enable", "assistant", "--hostname", "").code == 0
    assert "hostname" not in kubernetes.object(INSTANCES, "assistant")["spec"]["webEndpoint"]


def test_a_status_report_that_comes_between_does_not_fail_a_switch(plugin: Plugin, kubernetes: FakeKubernetes) -> None:
    kubernetes.put(instance())
    report = {"phase": "Running"}
    kubernetes.meanwhile("replace", INSTANCES, lambda: kubernetes.put(instance(status=report)))
    assert plugin("enable", "assistant").code == 0
    assert kubernetes.object(INSTANCES, "assistant")["spec"]["webEndpoint"]["enabled"] is True


def test_waiting_ends_when_the_operator_says_so(plugin: Plugin, kubernetes: FakeKubernetes) -> None:
    kubernetes.put(instance())

    def serve() -> None:
        generation = kubernetes.object(INSTANCES, "assistant")["metadata"]["generation"]
        kubernetes.put(instance(status={"phase": "Serving", "observedGeneration": generation}))

    kubernetes.meanwhile("list", INSTANCES, serve)
    assert "enabled" in plugin("enable", "assistant", "--wait").out


def test_waiting_ends_at_once_where_only_another_spec_would_serve(
    plugin: Plugin, kubernetes: FakeKubernetes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(switch, "_WAIT_SECONDS", 60.0)
    kubernetes.put(instance())

    def refuse() -> None:
        generation = kubernetes.object(INSTANCES, "assistant")["metadata"]["generation"]
        conditions = [
            {"type": "Ready", "status": "False", "reason": "InvalidSpec", "message": "'A b' is not a host name"},
            {"type": "Stalled", "status": "True", "reason": "InvalidSpec", "message": "'A b' is not a host name"},
        ]
        kubernetes.put(instance(status={"phase": "Error", "observedGeneration": generation, "conditions": conditions}))

    kubernetes.meanwhile("list", INSTANCES, refuse)
    done = plugin("enable", "assistant", "--hostname", "A b", "--wait")
    assert (done.code, done.err) == (1, "error: InvalidSpec: 'A b' is not a host name\n")


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (
            api_error(
                403, "Forbidden", 'User "eve" cannot update resource "sympoziuminstances" in the namespace "default"'
            ),
            4,
            'User "eve" cannot update resource',
        ),
        (api_error(403, "Forbidden", 'admission webhook "house" denied the request: no'), 1, "denied the request: no"),
        (api_error(422, "Invalid", "spec.x: bad"), 1, "spec.x: bad"),
    ],
)
def test_a_refusal_has_its_exit_code_and_its_words_on_stderr(
    error: Exception, code: int, said: str, plugin: Plugin, kubernetes: FakeKubernetes
) -> None:
    kubernetes.put(instance())
    kubernetes.refuse("replace", INSTANCES, error)
    done = plugin("enable", "assistant")
    assert (done.code, done.out) == (code, "")
    assert said in done.err


def test_an_instance_that_does_not_exist_and_kinds_that_are_not_installed_are_told_apart(
    plugin: Plugin, kubernetes: FakeKubernetes
) -> None:
    assert "not found" in plugin("enable", "nobody").err
    kubernetes.absent.add(INSTANCES)
    done = plugin("enable", "nobody")
    assert (done.code, "helm install sympozium-crds" in done.err) == (1, True)
    assert plugin("enable", "nobody", "-A").code == 2
    assert plugin("enable").code == 2
