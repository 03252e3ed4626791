"""The charts as Helm renders them: what reaches the pods."""

from typing import Any

import pytest
from tests.contract.crd_schema import violations
from tests.contract.documents import ROOT
from tests.e2e.chart_rendering import NAMESPACE, VERSION, helm, pick, pod_of, rendered, variables
from tests.unit.operator.golden import matches

from sympozium_api import environment
from sympozium_api.generate.crds import KINDS, definition
from sympozium_api.rate_limit import CallRate
from sympozium_api.skillpack import SkillPack
from sympozium_console import console_settings
from sympozium_console.console_settings import CallerRates
from sympozium_domain.callers.access_tokens import TokenSettings
from sympozium_domain.tenant_bounds import TenantBounds
from sympozium_operator.operator_settings import from_environment
from sympozium_platform.platform_settings import PlatformSettings

DIGEST = f"sha256:{'0123456789abcdef' * 4}"
SCHEDULING: dict[str, Any] = {
    "nodeSelector": {"pool": "agents"},
    "tolerations": [{"key": "dedicated", "operator": "Equal", "value": "agents", "effect": "NoSchedule"}],
    "affinity": {
        "nodeAffinity": {
            "preferredDuringSchedulingIgnoredDuringExecution": [
                {"weight": 1, "preference": {"matchExpressions": [{"key": "spot", "operator": "DoesNotExist"}]}}
            ]
        }
    },
    "priorityClassName": "low",
    "podLabels": {"team": "a", "app.kubernetes.io/component": "mine"},
    "podAnnotations": {"example.com/scrape": "no"},
}
ACCOUNT = {
    "serviceAccount": {"annotations": {"example.com/identity": "a"}},
    "extraEnv": [{"name": "SSL_CERT_FILE", "value": "/ca.pem"}],
}
EVERYTHING: dict[str, Any] = {
    "admissionPolicies": {"agentPods": {"enabled": True, "images": ["docker.io/istio/proxyv2:*"]}},
    "images": {
        "registry": "registry.example.com:5000/team",
        "pullPolicy": "Always",
        "pullSecrets": ["registry"],
        "operator": {"tag": "v2"},
        "webproxy": {"digest": DIGEST},
        "console": {"tag": "v3"},
    },
    "operator": {"replicas": 2, "logLevel": "debug"} | SCHEDULING | ACCOUNT,
    "runsServer": {"replicas": 2} | SCHEDULING | ACCOUNT,
    "webProxy": SCHEDULING,
    "agent": SCHEDULING,
    "runs": {"retention": "1h", "kept": 10, "failedJobRetention": "1m", "queueTimeout": "20m", "startTimeout": "1m30s"},
    "console": {
        "replicas": 2,
        "management": {"hostname": "console.agents.example.com"},
        "limits": {"requests": "600/minute", "runs": "60/minute", "failedSignIns": "20/minute"},
        "redis": {"url": "redis://:password@valkey:6379"},
        "credentials": True,
        "trustedProxies": ["10.0.0.0/8"],
        "links": {"logs": "https://logs.example.com/{namespace}/{pod}", "traces": "https://traces.example.com/{trace}"},
        "oidc": {
            "issuer": "https://login.example.com/realms/house",
            "audiences": ["sympozium", "agents"],
            "clientID": "console",
            "clientSecret": "issuer-client",
            "scopes": ["openid", "roles"],
            "usernameClaim": "email",
            "groupsClaim": "roles",
            "certificateAuthority": "-----BEGIN CERTIFICATE-----",
        },
    }
    | SCHEDULING
    | ACCOUNT,
    "platform": {
        "enabled": True,
        "hostname": "platform.agents.example.com",
        "tokens": {
            "algorithm": "HS512",
            "issuer": "us",
            "audience": "them",
            "test": True,
            "testNamespace": "playground",
        },
        "limits": {
            "requests": "50/second",
            "runs": "5/hour",
            "streams": 7,
            "agents": 8,
            "tools": 9,
            "versions": 10,
            "bindings": 11,
        },
        "defaultModel": "local:smollm2",
        "toolTimeout": {"default": 1000, "longest": 2000},
        "keepAliveSeconds": 5,
    },
    "archive": {
        "enabled": True,
        "url": "postgresql+asyncpg://user:password@postgres:5432/archive",
        "contentRetention": "7d",
        "retention": "90d",
        "auditRetention": "90d12h",
    },
    "egress": {"replicas": 2, "redisURL": "redis://valkey:6379", "privateNetworks": ["10.0.0.0/8", "fd00::/8"]}
    | SCHEDULING
    | ACCOUNT,
    "tracing": {"endpoint": "http://collector:4318", "sampleRatio": 0.1},
    "metrics": {
        "onHttpPort": True,
        "serviceMonitor": {"enabled": True, "labels": {"release": "prometheus"}, "interval": "10s"},
        "dashboard": {"enabled": True, "labels": {"team": "a"}},
        "rules": {"enabled": True, "labels": {"release": "prometheus"}},
    },
    "networkPolicies": {"extraAgentEgress": [{"to": [{"ipBlock": {"cidr": "10.0.0.0/8"}}], "ports": [{"port": 3000}]}]},
}


@pytest.mark.parametrize(("scenario", "values"), [("defaults", {}), ("everything", EVERYTHING)])
def test_the_chart_is_as_reviewed(scenario: str, values: dict[str, Any]) -> None:
    """Every value is in one of the two, so that a change of any template is seen; ``UPDATE_GOLDEN=1`` writes them anew."""
    documents = rendered(of=values)
    assert matches(scenario, *documents, folder="chart")


@pytest.mark.parametrize("chart", ["sympozium", "sympozium-crds"])
def test_helm_finds_nothing_to_complain_about(chart: str) -> None:
    done = helm("lint", "--strict", str(ROOT / "charts" / chart))
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(
    "deployment", ["sympozium-operator", "sympozium-runs", "sympozium-console", "sympozium-egress"]
)
def test_pods_pass_pod_security_restricted_with_a_root_that_nobody_writes(deployment: str) -> None:
    pod = pod_of(rendered(), deployment)
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert not {"hostNetwork", "hostPID", "hostIPC"} & set(pod)
    kinds = {kind for volume in pod.get("volumes", []) for kind in volume} - {"name"}
    assert kinds <= {"secret", "emptyDir", "projected"}
    for container in pod["containers"]:
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert container["resources"]["limits"]["memory"]
        assert container["resources"]["requests"]["cpu"]


def test_the_operator_accepts_what_the_chart_tells_it() -> None:
    settings = from_environment(variables(pod_of(rendered(), "sympozium-operator")))
    assert settings.agent_image == f"sympozium/webproxy:{VERSION}"
    assert settings.runs_url == f"http://sympozium-runs.{NAMESPACE}.svc:8081"
    assert settings.agent_resources["limits"] == {"cpu": "1", "memory": "256Mi"}
    assert (settings.start_timeout, settings.failed_job_retention, settings.retention.longest) == (45, 600, 86400)
    assert (settings.queue_timeout, settings.pending_pods) == (600, 5)
    assert (settings.retention.kept, settings.retention.at_most) == (1000, 20000)
    assert settings.retention.stored_bytes == 256 * 1024 * 1024
    assert (settings.retention.shortest, settings.retention.key) == (3600, 86400)


def test_values_reach_the_operator() -> None:
    documents = rendered(
        "images.registry=registry.example.com:5000/team",
        "images.webproxy.tag=v2",
        "images.pullPolicy=Always",
        "runs.startTimeout=1m30s",
        "runs.kept=5",
        "operator.logLevel=debug",
        "agent.resources.requests.cpu=10m",
    )
    settings = from_environment(variables(pod_of(documents, "sympozium-operator")))
    assert settings.agent_image == "registry.example.com:5000/team/sympozium/webproxy:v2"
    assert settings.image_pull_policy == "Always"
    assert (settings.start_timeout, settings.retention.kept, settings.log_level) == (90, 5, "debug")
    assert settings.agent_resources["requests"]["cpu"] == "10m"
    assert variables(pod_of(documents, "sympozium-operator"))["SYMPOZIUM_NAMESPACE"] == "from-the-pod"


def test_scheduling_reaches_every_pod_and_labels_of_ours_stay() -> None:
    documents = rendered(of=EVERYTHING)
    settings = from_environment(variables(pod_of(documents, "sympozium-operator")))
    scheduling = {name: SCHEDULING[name] for name in ("nodeSelector", "tolerations", "affinity", "priorityClassName")}
    for pod in (settings.agent_pod, settings.web_proxy_pod):
        assert pod["spec"] == scheduling
        assert pod["metadata"] == {"labels": SCHEDULING["podLabels"], "annotations": SCHEDULING["podAnnotations"]}
    for name, component in (("sympozium-operator", "operator"), ("sympozium-runs", "runs")):
        template = pick(documents, "Deployment", name)["spec"]["template"]
        assert scheduling.items() <= template["spec"].items()
        assert template["metadata"]["labels"]["team"] == "a"
        assert template["metadata"]["labels"]["app.kubernetes.io/component"] == component
        assert {"name": "SSL_CERT_FILE", "value": "/ca.pem"} in template["spec"]["containers"][0]["env"]


def test_what_agents_may_reach_besides_is_told_to_the_operator() -> None:
    settings = from_environment(variables(pod_of(rendered(of=EVERYTHING), "sympozium-operator")))
    assert settings.network_policies
    assert list(settings.extra_agent_egress) == EVERYTHING["networkPolicies"]["extraAgentEgress"]


def test_without_network_policies_there_are_none() -> None:
    documents = rendered("networkPolicies.enabled=false")
    assert not [item for item in documents if item["kind"] == "NetworkPolicy"]
    assert not from_environment(variables(pod_of(documents, "sympozium-operator"))).network_policies


def test_a_network_policy_selects_the_pods_of_its_name_and_opens_their_port() -> None:
    documents = rendered()
    policies = [item for item in documents if item["kind"] == "NetworkPolicy"]
    assert policies
    for policy in policies:
        template = pick(documents, "Deployment", policy["metadata"]["name"])["spec"]["template"]
        assert policy["spec"]["podSelector"]["matchLabels"].items() <= template["metadata"]["labels"].items()
        ports = [port["name"] for port in template["spec"]["containers"][0]["ports"]]
        assert [port["port"] for rule in policy["spec"]["ingress"] for port in rule["ports"]] == ports


def test_only_several_replicas_have_a_disruption_budget() -> None:
    assert not [item for item in rendered() if item["kind"] == "PodDisruptionBudget"]
    documents = rendered("operator.replicas=2")
    [budget] = [item for item in documents if item["kind"] == "PodDisruptionBudget"]
    assert budget["spec"]["selector"] == pick(documents, "Deployment", "sympozium-operator")["spec"]["selector"]
    assert budget["spec"]["maxUnavailable"] == 1


def test_a_digest_takes_the_place_of_the_tag() -> None:
    documents = rendered("images.registry=r.example.com", "images.webproxy.tag=v2", f"images.webproxy.digest={DIGEST}")
    image = f"r.example.com/sympozium/webproxy@{DIGEST}"
    assert pod_of(documents, "sympozium-runs")["containers"][0]["image"] == image
    assert pick(documents, "SkillPack", "web-endpoint")["spec"]["sidecar"]["image"] == image
    assert from_environment(variables(pod_of(documents, "sympozium-operator"))).agent_image == image


def test_all_of_one_image_is_one_image() -> None:
    documents = rendered("images.registry=r.example.com", "images.webproxy.tag=v2")
    image = "r.example.com/sympozium/webproxy:v2"
    assert pod_of(documents, "sympozium-runs")["containers"][0]["image"] == image
    assert pick(documents, "SkillPack", "web-endpoint")["spec"]["sidecar"]["image"] == image
    for deployment in ("sympozium-console", "sympozium-egress"):
        image = pod_of(documents, deployment)["containers"][0]["image"]
        assert image == f"r.example.com/sympozium/console:{VERSION}"
    assert (
        pod_of(documents, "sympozium-operator")["containers"][0]["image"]
        == f"r.example.com/sympozium/operator:{VERSION}"
    )


def test_the_console_is_left_out_whole() -> None:
    there = [item["kind"] for item in rendered() if item["metadata"]["name"].startswith("sympozium-console")]
    assert len(there) == 14
    assert not [item for item in rendered("console.enabled=false") if "console" in item["metadata"]["name"]]


@pytest.mark.parametrize("values", [{}, EVERYTHING])
def test_the_chart_renders_the_same_each_time_without_a_cluster(values: dict[str, Any]) -> None:
    assert rendered(of=values) == rendered(of=values)


def test_the_egress_guard_is_left_out_whole() -> None:
    without = rendered("egress.enabled=false")
    assert not [item for item in without if "egress" in item["metadata"]["name"]]
    for documents, url in ((rendered(), f"http://sympozium-egress.{NAMESPACE}.svc:8082"), (without, "")):
        assert from_environment(variables(pod_of(documents, "sympozium-operator"))).egress_url == url


def test_several_guards_need_a_place_in_which_they_count_together() -> None:
    done = helm("template", "x", str(ROOT / "charts/sympozium"), "--set", "egress.replicas=2")
    assert done.returncode != 0
    assert "egress.redisURL" in done.stderr + done.stdout


def ports_of_the_console(documents: list[dict[str, Any]]) -> list[set[str]]:
    """Names of the ports of the pod, the Service and the NetworkPolicy."""
    [rule] = pick(documents, "NetworkPolicy", "sympozium-console")["spec"]["ingress"]
    container = pod_of(documents, "sympozium-console")["containers"][0]
    service = pick(documents, "Service", "sympozium-console")["spec"]
    return [
        {port["name"] for port in container["ports"]},
        {port["name"] for port in service["ports"]},
        {port["port"] for port in rule["ports"]},
    ]


def test_an_api_that_is_off_has_no_port() -> None:
    assert ports_of_the_console(rendered()) == [{"http", "runs", "metrics"}] * 3
    off = rendered("console.management.enabled=false", "console.management.hostname=console.example.com")
    assert ports_of_the_console(off) == [{"runs", "metrics"}] * 3
    assert variables(pod_of(off, "sympozium-console"))[environment.MANAGEMENT] == "false"
    assert from_environment(variables(pod_of(off, "sympozium-operator"))).surfaces == ()


def test_the_operator_routes_the_consoles_host_names() -> None:
    documents = rendered(of=EVERYTHING)
    surfaces = from_environment(variables(pod_of(documents, "sympozium-operator"))).surfaces
    assert [surface.hostname for surface in surfaces] == ["console.agents.example.com", "platform.agents.example.com"]
    for surface in surfaces:
        service = pick(documents, "Service", surface.service)["spec"]
        assert surface.port in [port["port"] for port in service["ports"]]
    assert from_environment(variables(pod_of(rendered(), "sympozium-operator"))).surfaces == ()


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (
            ("console.replicas=2", "console.limits.runs=9/minute"),
            "needs console.redis.url or console.redis.existingSecret",
        ),
        (("console.redis.url=http://u:hidden@h",), "console.redis.url must begin with redis://"),
        (("console.redis.url=redis://:hidden@h", "console.redis.existingSecret=own"), "not both"),
        (("console.limits.runs=many",), "/console/limits/runs"),
        (("console.management.hostname=not a name",), "/console/management/hostname"),
    ],
)
def test_limits_of_callers_that_cannot_hold_are_refused(values: tuple[str, ...], message: str) -> None:
    done = helm("template", "x", str(ROOT / "charts/sympozium"), *(f"--set={value}" for value in values))
    assert done.returncode != 0
    assert message in done.stderr
    assert "hidden" not in done.stderr


def test_limits_of_callers_and_the_place_in_which_they_are_counted_reach_the_console() -> None:
    pod = pod_of(rendered(of=EVERYTHING), "sympozium-console")
    rates = CallerRates.from_environment(variables(pod))
    assert (rates.requests, rates.runs, rates.failed_sign_ins) == (
        CallRate(600, 60),
        CallRate(60, 60),
        CallRate(20, 60),
    )
    assert "password" not in str(pod)
    [mount] = [mount for mount in pod["containers"][0]["volumeMounts"] if mount["name"] == "redis"]
    assert f"{mount['mountPath']}/url" == environment.REDIS_URL_FILE
    assert not [volume for volume in pod_of(rendered(), "sympozium-console")["volumes"] if volume["name"] == "redis"]


def test_the_consoles_secrets_are_the_operators_to_generate_or_ones_own() -> None:
    made, own = rendered(), rendered("console.tokenSecret=own", "console.keysSecret=own-keys")
    mounted = [volume["secret"]["secretName"] for volume in pod_of(made, "sympozium-console")["volumes"][:2]]
    settings = from_environment(variables(pod_of(made, "sympozium-operator")))
    assert [settings.console_token_secret, settings.console_keys_secret] == mounted
    for documents in (own, rendered("console.enabled=false")):
        settings = from_environment(variables(pod_of(documents, "sympozium-operator")))
        assert (settings.console_token_secret, settings.console_keys_secret) == ("", "")
    assert not [item for item in made + own if item["kind"] == "Secret"]
    assert pod_of(own, "sympozium-console")["volumes"][:2] == [
        {"name": "tokens", "secret": {"secretName": "own"}},
        {"name": "keys", "secret": {"secretName": "own-keys"}},
    ]


def test_the_agent_platform_has_its_settings_secret_and_service_only_when_it_is_on() -> None:
    off, on = rendered(), rendered(of=EVERYTHING)
    assert not [item for item in off if item["metadata"]["name"] == "sympozium-platform"]
    assert console_settings.from_environment(variables(pod_of(off, "sympozium-console"))).platform is None
    console = pod_of(on, "sympozium-console")
    assert PlatformSettings.from_environment(variables(console)) == PlatformSettings(
        tokens=TokenSettings("HS512", "us", "them"),
        test_tokens=True,
        test_namespace="playground",
        default_rate=CallRate(50, 1),
        runs_rate=CallRate(5, 3600),
        bounds=TenantBounds(agents=8, versions=10, tools=9, bindings=11),
        most_streams=7,
        default_model="local:smollm2",
        tool_timeout_ms=1000,
        tool_max_timeout_ms=2000,
        keep_alive_seconds=5,
    )
    assert variables(console)["SYMPOZIUM_PLATFORM"] == "true"
    [port] = pick(on, "Service", "sympozium-platform")["spec"]["ports"]
    assert (port["port"], port["targetPort"]) == (8000, "platform")
    assert {"name": "platform", "containerPort": 8000} in console["containers"][0]["ports"]
    policy = pick(on, "NetworkPolicy", "sympozium-console")
    assert {"protocol": "TCP", "port": "platform"} in policy["spec"]["ingress"][0]["ports"]
    operator = from_environment(variables(pod_of(on, "sympozium-operator")))
    assert operator.platform_secret == "sympozium-platform"
    assert ("sympozium-platform", 8000) in [(one.service, one.port) for one in operator.surfaces]
    own = rendered("platform.enabled=true", "platform.tokens.existingSecret=own")
    assert from_environment(variables(pod_of(own, "sympozium-operator"))).platform_secret == ""
    for documents, name in ((on, "sympozium-platform"), (own, "own")):
        pod = pod_of(documents, "sympozium-console")
        assert {"name": "platform", "secret": {"secretName": name}} in pod["volumes"]
        [mount] = [mount for mount in pod["containers"][0]["volumeMounts"] if mount["name"] == "platform"]
        assert mount["mountPath"] == environment.PLATFORM_KEYS_DIR


def test_the_built_in_skill_is_a_server_that_its_crd_takes() -> None:
    found = pick(rendered(), "SkillPack", "web-endpoint")
    [kind] = [kind for kind in KINDS if kind.model is SkillPack]
    schema = definition(kind)["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    assert list(violations(found, schema)) == []
    sidecar = SkillPack.model_validate(found).spec.sidecar
    assert sidecar
    assert sidecar.requires_server
    assert sidecar.command == ["python", "-m", "sympozium_webproxy"]
    assert [(port.name, port.container_port) for port in sidecar.ports] == [("http", 8080), ("runs", 8081)]


def test_selectors_find_their_pods_and_no_others() -> None:
    documents = rendered()
    templates = {
        item["metadata"]["name"]: item["spec"]["template"]["metadata"]["labels"]
        for item in documents
        if item["kind"] == "Deployment"
    }
    for item in documents:
        if item["kind"] in ("Deployment", "Service"):
            selector = item["spec"]["selector"]
            selector = selector.get("matchLabels", selector)
            hit = [name for name, labels in templates.items() if selector.items() <= labels.items()]
            assert hit == [item["metadata"]["name"]]
