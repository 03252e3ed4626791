import pytest

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
