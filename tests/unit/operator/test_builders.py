"""Builders: golden files for whole objects, and a test for each rule that a reader could miss in them."""

import copy
import json
from typing import Any

import pytest
from tests.unit.operator.golden import matches
from tests.unit.operator.objects import WEB_ENDPOINT, instance, run, server_run
from tests.unit.operator.web_proxy_objects import web_proxy_objects

from sympozium_api import environment, names
from sympozium_api.web_endpoint import Autoscaling
from sympozium_operator.desired import agent_job, rbac, scaling, web_proxy
from sympozium_operator.desired.instance_children import agent_service_account
from sympozium_operator.desired.instance_children import server_run as build_server_run

AGENT = agent_job.AgentPod(
    image="example.com/webproxy:1",
    pull_policy="IfNotPresent",
    resources={"requests": {"cpu": "50m", "memory": "64Mi"}, "limits": {"cpu": "1", "memory": "256Mi"}},
    runs_url="http://sympozium-runs.sympozium-system.svc:8081",
    placement="0123456789abcdef",
)
REPLY_TO = {names.ANNOTATION_REPLY_TO: "http://10.88.0.7:8081"}
KEYED: dict[str, Any] = {"authRefs": [{"provider": "openai", "secret": "openai-keys"}]}


def build(*, served: bool = False, of: dict[str, Any] | None = None, **kwargs: Any) -> dict[str, Any]:
    return agent_job.build(run(**kwargs), instance(**(of or {})), AGENT, served=served, deadline=605)


JOBS = {
    "job-of-kubectl": build(),
    "job-of-web-endpoint": build(served=True, annotations=REPLY_TO, of=WEB_ENDPOINT | KEYED),
    "job-with-pull-secrets": build(of={"imagePullSecrets": [{"name": "registry"}]}),
    "job-with-own-model": build(of=KEYED, model={"provider": "my-llm", "authSecretRef": "other", "model": "m"}),
}


@pytest.mark.parametrize("scenario", JOBS)
def test_jobs_are_as_reviewed(scenario: str) -> None:
    assert matches(scenario, JOBS[scenario])


def served(**sidecar: Any) -> list[dict[str, Any]]:
    return web_proxy_objects(
        instance(imagePullSecrets=[{"name": "registry"}] if sidecar else []),
        sidecar=sidecar,
        replicas=2,
        keys_secret="alice-web-endpoint-web-api-key",
        pull_policy="IfNotPresent",
        tracing=web_proxy.TraceExport("http://collector:4318", 0.25) if sidecar else None,
    )


def test_metrics_stay_at_the_old_port_only_where_the_installation_says_so() -> None:
    def variables(**settings: Any) -> list[Any]:
        deployment, _ = web_proxy_objects(**settings)
        environ: list[Any] = deployment["spec"]["template"]["spec"]["containers"][0]["env"]
        return environ

    assert {"name": environment.METRICS_ON_HTTP, "value": "true"} in variables(metrics_on_http=True)
    assert environment.METRICS_ON_HTTP not in [variable["name"] for variable in variables()]


AUTOSCALING = Autoscaling(max_replicas=5)

SIDECAR = {
    "env": {"LOG_LEVEL": "debug", environment.INSTANCE: "mallory"},
    "ports": [{"name": "http", "containerPort": 80}, {"name": "debug", "containerPort": 9000}],
    "secretRef": "tls",
    "resources": {"requests": {"cpu": "1"}},
}


@pytest.mark.parametrize(
    ("scenario", "objects"),
    [
        ("server", [*rbac.server_access(server_run()), *served()]),
        ("server-with-everything", served(**SIDECAR)),
        ("server-scaled", scaling.build(server_run(), replicas=2, autoscaling=AUTOSCALING)),
        ("server-key", [rbac.api_key(server_run(), lambda: "0123456789abcdef" * 3)]),
        ("server-session-key", [rbac.session_key(server_run(), lambda: "0123456789abcdef" * 4)]),
        ("instance", [agent_service_account(instance()), build_server_run(instance(**WEB_ENDPOINT))]),
    ],
)
def test_servers_and_instances_are_as_reviewed(scenario: str, objects: list[dict[str, Any]]) -> None:
    assert matches(scenario, *objects)


def pod_specs() -> list[Any]:
    return [
        *(pytest.param(made["spec"]["template"]["spec"], id=name) for name, made in JOBS.items()),
        pytest.param(served()[0]["spec"]["template"]["spec"], id="server"),
    ]


@pytest.mark.parametrize("pod", pod_specs())
def test_pod_security_restricted_accepts_every_pod(pod: dict[str, Any]) -> None:
    assert pod["securityContext"]["runAsNonRoot"]
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert not {"hostNetwork", "hostPID", "hostIPC"} & set(pod)
    for container in pod["containers"]:
        security = container["securityContext"]
        assert security["allowPrivilegeEscalation"] is False
        assert security["capabilities"] == {"drop": ["ALL"]}
        assert security["readOnlyRootFilesystem"]
        assert container["resources"]["limits"]
    for volume in pod["volumes"]:
        assert set(volume) - {"name"} <= {"secret", "projected", "emptyDir"}


def test_an_agent_pod_has_no_token_for_the_api_server() -> None:
    pod = JOBS["job-of-kubectl"]["spec"]["template"]["spec"]
    assert pod["automountServiceAccountToken"] is False
    [source] = pod["volumes"][0]["projected"]["sources"]
    assert source["serviceAccountToken"]["audience"] == names.RUNS_AUDIENCE


def test_nothing_that_a_user_wrote_and_no_secret_reaches_a_job() -> None:
    secret_words = ["$(PROMPT)", "be evil", "X-Header", "proxy.example"]
    made = build(
        task=secret_words[0],
        systemPrompt=secret_words[1],
        of={
            "model": {"providerHeaders": {"X-Header": "v"}, "env": {"HTTPS_PROXY": "proxy.example"}},
            "memory": {"systemPrompt": secret_words[1]},
        },
    )
    assert not [word for word in secret_words if word in json.dumps(made)]
    assert {v["name"] for v in made["spec"]["template"]["spec"]["containers"][0]["env"]} == {
        environment.RUN,
        environment.RUNS_URLS,
    }


@pytest.mark.parametrize("of", [{}, KEYED])
def test_provider_keys_are_files_and_only_if_the_model_has_a_secret(of: dict[str, Any]) -> None:
    volumes = {v["name"]: v for v in build(of=of)["spec"]["template"]["spec"]["volumes"]}
    assert ("provider" in volumes) == bool(of)


@pytest.mark.parametrize(
    ("reply_to", "plausible"),
    [
        ("http://10.88.0.7:8081", True),
        ("http://[fd00::7]:8081/", True),
        ("https://10.88.0.7:8081", False),
        ("http://$(SECRET):8081", False),
        ("http://a/b", False),
        ("http://a,http://b", False),
        ("http://user@a:1", False),
        ("", False),
    ],
)
def test_only_a_plausible_reply_address_is_used(reply_to: str, *, plausible: bool) -> None:
    annotated = run(annotations={names.ANNOTATION_REPLY_TO: reply_to})
    urls = agent_job.runs_urls(annotated, "http://runs:8081", served=True)
    assert list(urls) == [
        *([reply_to.rstrip("/")] if plausible else []),
        "http://alice-web-endpoint-server.team.svc:8081",
        "http://runs:8081",
    ]


def test_the_web_proxys_role_holds_nothing_on_secrets() -> None:
    [_, role, _] = rbac.server_access(server_run())
    assert not [rule for rule in role["rules"] if "secrets" in rule["resources"]]
    [own] = [rule for rule in role["rules"] if rule["resources"] == ["sympoziuminstances"]]
    assert own["resourceNames"] == ["alice"]


def test_a_pack_cannot_take_the_place_of_what_the_web_proxy_must_know() -> None:
    container = served(**SIDECAR)[0]["spec"]["template"]["spec"]["containers"][0]
    variables = [v for v in container["env"] if v["name"] == environment.INSTANCE]
    assert variables == [{"name": environment.INSTANCE, "value": "alice"}]
    assert {p["name"]: p["containerPort"] for p in container["ports"]} == {
        "debug": 9000,
        "http": 8080,
        "runs": 8081,
        "metrics": 9090,
    }


@pytest.mark.parametrize(("models", "held"), [([], False), (["embed"], True)])
def test_the_models_key_is_mounted_only_where_embeddings_are_offered(models: list[str], held: bool) -> None:
    offering = instance(model={"embeddingModels": models}, authRefs=[{"provider": "openai", "secret": "the-key"}])
    [deployment, _] = web_proxy_objects(offering)
    pod = deployment["spec"]["template"]["spec"]
    mounted = {mount["mountPath"]: mount["name"] for mount in pod["containers"][0]["volumeMounts"]}
    assert mounted.get("/var/run/secrets/sympozium.ai/provider") == ("provider" if held else None)
    secrets = {v["secret"]["secretName"]: v["secret"].get("items") for v in pod["volumes"] if "secret" in v}
    assert ("the-key" in secrets) is held
    if held:
        assert [item["key"] for item in secrets["the-key"]] == ["OPENAI_API_KEY", "api-key"]


def test_rate_limits_are_not_in_the_deployment() -> None:
    params: dict[str, Any] = {"skills": [{"skillPackRef": "web-endpoint", "params": {"rate_limit_rpm": "777"}}]}
    made = web_proxy_objects(instance(**params))
    assert "777" not in json.dumps(made)


POD: dict[str, Any] = {
    "metadata": {"labels": {"team": "a", names.LABEL_RUN: "stolen"}, "annotations": {"scrape": "no"}},
    "spec": {
        "nodeSelector": {"pool": "agents"},
        "tolerations": [{"key": "gpu", "operator": "Exists"}],
        "priorityClassName": "low",
    },
}


def test_what_the_installation_says_about_pods_is_in_them_and_takes_no_field_of_ours() -> None:
    agent = agent_job.AgentPod("i", "Always", {}, "http://runs:8081", POD)
    [deployment, _] = web_proxy_objects(template=POD)
    of_agent = agent_job.build(run(), instance(), agent, served=False, deadline=1)
    for made, own in ((of_agent, "q1"), (deployment, "alice-web-endpoint")):
        template = made["spec"]["template"]
        assert POD["spec"].items() <= template["spec"].items()
        assert template["spec"]["securityContext"]["runAsNonRoot"]
        assert template["metadata"]["annotations"]["scrape"] == "no"
        assert (template["metadata"]["labels"]["team"], template["metadata"]["labels"][names.LABEL_RUN]) == ("a", own)


@pytest.mark.parametrize(
    ("model", "own"),
    [
        (None, None),
        ({"model": "other"}, None),
        ({"baseURL": "http://model.example.com/v1/"}, None),
        ({"baseURL": "http://elsewhere/v1"}, "own"),
    ],
)
def test_a_pod_whose_run_calls_a_model_elsewhere_says_so(model: dict[str, Any] | None, own: str | None) -> None:
    made = build(model=model)
    assert made["spec"]["template"]["metadata"]["labels"].get(names.LABEL_MODEL) == own
    assert names.LABEL_MODEL not in made["metadata"]["labels"]


def test_builders_change_nothing_that_they_are_given() -> None:
    agent, before = AGENT, copy.deepcopy(AGENT)
    first = build(served=True, annotations=REPLY_TO, of=KEYED)
    assert build(served=True, annotations=REPLY_TO, of=KEYED) == first
    assert agent == before
