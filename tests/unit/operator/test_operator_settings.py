"""Settings: what is invalid is refused with the variable's name."""

import pytest

from sympozium_api.settings_parser import InvalidSetting
from sympozium_operator.operator_settings import from_environment

NEEDED = {"SYMPOZIUM_AGENT_IMAGE": "example.com/agent:1", "SYMPOZIUM_NAMESPACE": "sys"}


def test_the_image_is_all_that_must_be_set() -> None:
    found = from_environment(NEEDED)
    assert found.agent_image == "example.com/agent:1"
    assert found.runs_url == "http://sympozium-runs.sys.svc:8081"
    assert (found.start_timeout, found.failed_job_retention, found.retention.longest) == (45, 600, 86400)
    assert (found.queue_timeout, found.pending_pods) == (600, 5)
    assert (found.retention.shortest, found.retention.key, found.retention.at_most) == (3600, 86400, 20_000)
    assert found.retention.stored_bytes == 256 * 1024 * 1024
    assert found.agent_resources["requests"] == {"cpu": "50m", "memory": "64Mi"}
    assert found.scopes == (None,)
    assert (found.agent_pod, found.web_proxy_pod) == ({}, {})
    assert (found.network_policies, found.extra_agent_egress) == (True, ())


def test_everything_can_be_set() -> None:
    found = from_environment(
        NEEDED
        | {
            "SYMPOZIUM_POD_NAME": "operator-1",
            "SYMPOZIUM_WATCH_NAMESPACES": "a, b",
            "SYMPOZIUM_AGENT_RESOURCES": '{"limits":{"cpu":1}}',
            "SYMPOZIUM_RUNS_URL": "http://runs:1/",
            "SYMPOZIUM_START_TIMEOUT": "1m30s",
            "SYMPOZIUM_AGENT_POD": '{"metadata":{"labels":{"team":"a"}},"spec":{"nodeSelector":{"pool":"agents"}}}',
            "SYMPOZIUM_NETWORK_POLICIES": "false",
            "SYMPOZIUM_EXTRA_AGENT_EGRESS": '[{"ports":[{"port":443}]}]',
            "SYMPOZIUM_WORKERS": "3",
            "SYMPOZIUM_LOG_LEVEL": "debug",
            "SYMPOZIUM_TRACING_ENDPOINT": "http://collector:4318/",
            "SYMPOZIUM_TRACING_SAMPLE_RATIO": "0.25",
        }
    )
    assert (found.tracing_endpoint, found.tracing_sample_ratio) == ("http://collector:4318", 0.25)
    assert found.identity == "operator-1"
    assert found.scopes == ("a", "b")
    assert found.agent_resources == {"limits": {"cpu": 1}}
    assert found.runs_url == "http://runs:1"
    assert found.agent_pod["spec"] == {"nodeSelector": {"pool": "agents"}}
    assert (found.network_policies, found.extra_agent_egress) == (False, ({"ports": [{"port": 443}]},))
    assert (found.start_timeout, found.workers, found.log_level) == (90, 3, "debug")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SYMPOZIUM_AGENT_IMAGE", ""),
        ("SYMPOZIUM_WATCH_NAMESPACES", "Team!"),
        ("SYMPOZIUM_IMAGE_PULL_POLICY", "Sometimes"),
        ("SYMPOZIUM_AGENT_RESOURCES", "50m"),
        ("SYMPOZIUM_AGENT_RESOURCES", '{"requests":{"cpu":"much"}}'),
        ("SYMPOZIUM_AGENT_RESOURCES", '{"requests":"cpu"}'),
        ("SYMPOZIUM_AGENT_POD", "pool=agents"),
        ("SYMPOZIUM_AGENT_POD", '{"spec":{"hostNetwork":true}}'),
        ("SYMPOZIUM_AGENT_POD", '{"status":{"phase":"Running"}}'),
        ("SYMPOZIUM_WEB_PROXY_POD", '{"spec":["nodeSelector"]}'),
        ("SYMPOZIUM_NETWORK_POLICIES", "yes"),
        ("SYMPOZIUM_EXTRA_AGENT_EGRESS", '{"to":[]}'),
        ("SYMPOZIUM_EXTRA_AGENT_EGRESS", '[{"from":[]}]'),
        ("SYMPOZIUM_RUNS_URL", "runs:8081"),
        ("SYMPOZIUM_RUNS_URL", "http://$(HOST)"),
        ("SYMPOZIUM_START_TIMEOUT", "45"),
        ("SYMPOZIUM_START_TIMEOUT", "0s"),
        ("SYMPOZIUM_FAILED_JOB_RETENTION", "soon"),
        ("SYMPOZIUM_RUN_RETENTION", "-1h"),
        ("SYMPOZIUM_RUNS_KEPT", "0"),
        ("SYMPOZIUM_WORKERS", "many"),
        ("SYMPOZIUM_METRICS_PORT", "70000"),
        ("SYMPOZIUM_LOG_LEVEL", "loud"),
        ("SYMPOZIUM_TRACING_ENDPOINT", "collector:4318"),
        ("SYMPOZIUM_TRACING_SAMPLE_RATIO", "1.5"),
        ("SYMPOZIUM_TRACING_SAMPLE_RATIO", "nan"),
    ],
)
def test_an_invalid_setting_is_refused_by_name(name: str, value: str) -> None:
    with pytest.raises(InvalidSetting, match=rf"^{name}(: | is not set$)"):
        from_environment(NEEDED | {name: value})
