import pytest

from sympozium_api.agent_protocol import is_cluster_host
from sympozium_api.environment import proxy_variable


@pytest.mark.parametrize(
    ("environ", "value"),
    [
        ({}, None),
        ({"https_proxy": ""}, None),
        ({"HTTPS_PROXY": "http://upper"}, "http://upper"),
        ({"https_proxy": "http://lower", "HTTPS_PROXY": "http://upper"}, "http://lower"),
    ],
)
def test_a_proxy_variable_counts_in_either_case_and_only_with_a_value(
    environ: dict[str, str], value: str | None
) -> None:
    assert proxy_variable(environ, "https_proxy") == value


@pytest.mark.parametrize("host", ["vllm", "vllm.models.svc", "VLLM.models.svc.cluster.local.", "vllm.models.svc.corp"])
def test_hosts_of_services_are_the_clusters(host: str) -> None:
    assert is_cluster_host(host)


@pytest.mark.parametrize("host", ["vllm.models", "api.example.com", "10.0.0.1", "2130706433", "::1", "", "svc.a"])
def test_other_hosts_are_the_worlds(host: str) -> None:
    assert not is_cluster_host(host)
