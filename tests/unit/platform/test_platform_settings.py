"""Settings of the agent platform, by the variables that its clients' operators know."""

import pytest

from sympozium_api.rate_limit import CallRate
from sympozium_domain.callers.access_tokens import TokenSettings
from sympozium_platform.platform_settings import PlatformSettings

read = PlatformSettings.from_environment


def test_without_variables_all_have_their_defaults() -> None:
    assert read({}) == PlatformSettings()
    assert (read({}).default_rate, read({}).runs_rate) == (CallRate(100, 60), CallRate(20, 60))


def test_every_variable_is_read() -> None:
    settings = read(
        {
            "JWT_SECRET": " s" * 32,
            "JWT_ALGORITHM": "HS384",
            "JWT_ISSUER": "us",
            "JWT_AUDIENCE": "them",
            "PYDANTICAI_DEFAULT_MODEL": "local:smollm2:135m",
            "TOOL_DEFAULT_TIMEOUT_MS": "1",
            "TOOL_MAX_TIMEOUT_MS": "2",
            "SSE_KEEPALIVE_SECONDS": "3",
            "SYMPOZIUM_PLATFORM_TEST_NAMESPACE": "playground",
        }
    )
    assert settings == PlatformSettings(
        tokens=TokenSettings("HS384", "us", "them"),
        jwt_secret=(" s" * 32).strip(),
        default_model="local:smollm2:135m",
        tool_timeout_ms=1,
        tool_max_timeout_ms=2,
        keep_alive_seconds=3,
        test_namespace="playground",
    )
    assert "s s" not in repr(settings)


def test_a_lower_maximum_bounds_the_default_time_of_tools() -> None:
    assert read({"TOOL_MAX_TIMEOUT_MS": "500"}).tool_timeout_ms == 500


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("JWT_ALGORITHM", "none"),
        ("JWT_ALGORITHM", "RS256"),
        ("RATE_LIMIT_DEFAULT", "100"),
        ("RATE_LIMIT_RUNS", "0/minute"),
        ("PYDANTICAI_DEFAULT_MODEL", "gpt-4o-mini"),
        ("PYDANTICAI_DEFAULT_MODEL", ":gpt-4o-mini"),
        ("TOOL_MAX_TIMEOUT_MS", "60001"),
        ("TOOL_DEFAULT_TIMEOUT_MS", "60001"),
        ("SSE_KEEPALIVE_SECONDS", "0"),
        ("ALLOW_TEST_TOKENS", "yes"),
    ],
)
def test_a_wrong_variable_is_named(name: str, value: str) -> None:
    with pytest.raises(SystemExit, match=name):
        read({name: value})
