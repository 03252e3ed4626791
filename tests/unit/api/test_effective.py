"""What a spec means once skills, params and fields are taken together."""

from typing import Any

import pytest

from sympozium_api import effective
from sympozium_api.base import seconds
from sympozium_api.instance import SympoziumInstance
from sympozium_api.run import AgentRun


def instance(**spec: Any) -> SympoziumInstance:
    agents = {"default": {"model": "m", "baseURL": "http://own/v1/"}}
    return SympoziumInstance.model_validate({"metadata": {"name": "demo"}, "spec": {"agents": agents} | spec})


def skill(**params: str) -> dict[str, Any]:
    return {"skills": [{"skillPackRef": "web-endpoint", "params": params}]}


def test_without_skill_and_field_there_is_no_web_endpoint() -> None:
    assert effective.web_endpoint(instance()) is None


def test_the_skill_and_the_field_switch_on_the_same() -> None:
    by_field = effective.web_endpoint(instance(webEndpoint={"enabled": True}))
    assert by_field == effective.web_endpoint(instance(**skill()))
    assert by_field is not None
    assert (by_field.rate_limit.requests_per_minute, by_field.rate_limit.burst_size) == (60, 10)


def test_a_param_wins_over_the_field() -> None:
    field = {"webEndpoint": {"rateLimit": {"requestsPerMinute": 5, "burstSize": 6}, "hostname": "a"}}
    found = effective.web_endpoint(instance(**skill(rate_limit_rpm="120", auth_secret_ref="s"), **field))
    assert found is not None
    assert (found.rate_limit.requests_per_minute, found.rate_limit.burst_size) == (120, 6)
    assert (found.hostname, found.auth_secret_ref) == ("a", "s")


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"rate_limit_rpm": "many"}, r"spec\.skills\[0\]\.params\.rate_limit_rpm: 'many' is not a whole number"),
        ({"rate_limit_rpm": "0"}, "from 1 to"),
        ({"rate_limit_burst": "-1"}, r"rate_limit_burst"),
        ({"rate_limit_rpm": "٣"}, "whole number"),
        ({"rate_limt_rpm": "1"}, r"rate_limt_rpm: unknown; known are auth_secret_ref, hostname"),
    ],
)
def test_a_param_that_cannot_be_read_is_named(params: dict[str, str], message: str) -> None:
    with pytest.raises(effective.InvalidSpec, match=message):
        effective.web_endpoint(instance(**skill(**params)))


@pytest.mark.parametrize("hostname", ["a", "bot.example.com", "x--y.example.com", "1a.example.com", "a" * 63 + ".com"])
def test_a_host_name_is_taken_as_it_is(hostname: str) -> None:
    found = effective.web_endpoint(instance(webEndpoint={"enabled": True, "hostname": hostname}))
    assert found is not None
    assert found.hostname == hostname


@pytest.mark.parametrize(
    "hostname",
    [
        "Bot.example.com",
        "bot_1.example.com",
        "*.example.com",
        "bot..com",
        "-a.com",
        "a.com.",
        "a b",
        "192.0.2.7",
        "a" * 64,
        "bot.example.com:80",
        "http://a",
    ],
)
@pytest.mark.parametrize("by", ["field", "param"])
def test_a_host_name_that_is_none_is_refused_with_its_field(hostname: str, by: str) -> None:
    spec: dict[str, Any] = {"webEndpoint": {"enabled": True, "hostname": hostname}}
    path = "spec.webEndpoint.hostname"
    if by == "param":
        spec, path = skill(hostname=hostname), "spec.skills[0].params.hostname"
    with pytest.raises(effective.InvalidSpec) as refusal:
        effective.web_endpoint(instance(**spec))
    assert str(refusal.value).startswith(f"{path}: ")


def test_a_host_name_has_at_most_253_characters() -> None:
    label = "a" * 62 + "."
    assert effective.web_endpoint(instance(**skill(hostname=label * 4 + "b")))
    with pytest.raises(effective.InvalidSpec):
        effective.web_endpoint(instance(**skill(hostname=label * 4 + "bc")))


@pytest.mark.parametrize(
    ("spec", "field"),
    [
        ({"mcpServers": [{"name": "a", "url": "http://a"}]}, "spec.mcpServers"),
    ],
)
def test_what_this_version_cannot_do_is_refused_by_name(spec: dict[str, Any], field: str) -> None:
    with pytest.raises(effective.InvalidSpec, match=f"{field}: not supported"):
        effective.refuse_unsupported(instance(**spec))


class TestModel:
    refs = (
        {"provider": "first", "secret": "s1"},
        {"provider": "other", "secret": "s2"},
        {"provider": "first", "secret": "s3"},
    )

    def run(self, **model: str) -> AgentRun:
        return AgentRun.model_validate({"spec": {"agentRef": "demo", "task": "x", "model": model}})

    def test_the_instances_own_model_is_called_by_default(self) -> None:
        found = effective.model(instance(authRefs=self.refs))
        assert found == effective.EffectiveModel(name="m", base_url="http://own/v1", provider="first", secret="s1")

    def test_a_model_without_credentials_has_no_secret(self) -> None:
        assert effective.model(instance()).secret is None

    def test_a_model_that_the_run_names_wins_over_the_instances(self) -> None:
        run = self.run(provider="other", model="big", baseURL="http://else/v1")
        found = effective.model(instance(authRefs=self.refs), run)
        assert found == effective.EffectiveModel(name="big", base_url="http://else/v1", provider="other", secret=None)

    @pytest.mark.parametrize(
        ("model", "secret"),
        [
            ({"provider": "other"}, "s2"),
            ({"baseURL": "http://own/v1"}, "s1"),
            ({"baseURL": "http://own/v1/evil"}, None),
            ({"baseURL": "http://attacker/v1", "provider": "other"}, None),
            ({"baseURL": "https://own/v1"}, None),
        ],
    )
    def test_the_instances_keys_go_to_its_own_address_only(self, model: dict[str, str], secret: str | None) -> None:
        assert effective.model(instance(authRefs=self.refs), self.run(**model)).secret == secret

    def test_a_secret_of_the_runs_model_wins_over_the_auth_refs(self) -> None:
        assert effective.model(instance(authRefs=self.refs), self.run(authSecretRef="mine")).secret == "mine"

    def test_the_provider_names_the_key_in_its_secret(self) -> None:
        assert effective.key_names("azure-openai") == ("AZURE_OPENAI_API_KEY", "api-key")


@pytest.mark.parametrize(("text", "value"), [("90s", 90), ("10m", 600), ("1h30m", 5400), ("1h0m1s", 3601)])
def test_a_duration_is_read_in_seconds(text: str, value: int) -> None:
    assert seconds(text) == value


@pytest.mark.parametrize("text", ["", "10", "1.5h", "10x", "-1s"])
def test_a_text_that_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a duration"):
        seconds(text)


@pytest.mark.parametrize("authority", ["nonsense", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----", "é"])
def test_an_authority_of_an_issuer_that_is_no_certificate_is_refused(authority: str) -> None:
    oauth = {"issuer": "https://login.example.com", "audiences": ["a"], "certificateAuthority": authority}
    with pytest.raises(effective.InvalidSpec, match=r"spec\.webEndpoint\.oauth\.certificateAuthority"):
        effective.web_endpoint(instance(webEndpoint={"enabled": True, "oauth": oauth}))
