from pathlib import Path

import pytest

from sympozium_agent.agent_settings import AgentSettings
from sympozium_api import environment
from sympozium_api.agent_records import ModelTarget


def test_a_pod_reads_its_run_and_the_addresses_in_their_order() -> None:
    variables = {environment.RUN: "r", environment.RUNS_URLS: "http://10.0.0.7:8081/, http://web:8081"}
    settings = AgentSettings.of(variables)
    assert (settings.run, settings.addresses) == ("r", ("http://10.0.0.7:8081", "http://web:8081"))


@pytest.mark.parametrize("missing", [environment.RUN, environment.RUNS_URLS])
@pytest.mark.parametrize("value", [None, "", " , "])
def test_a_variable_that_is_missing_is_named(missing: str, value: str | None) -> None:
    variables = {environment.RUN: "r", environment.RUNS_URLS: "http://web:8081"} | ({missing: value} if value else {})
    if value is None:
        del variables[missing]
    elif not value:
        variables[missing] = value
    with pytest.raises(SystemExit, match=missing):
        AgentSettings.of(variables)


def test_the_token_is_read_again_each_time(tmp_path: Path) -> None:
    file = tmp_path / "token"
    settings = AgentSettings("r", ("http://web",), token_file=file)
    for token in ("first", "second"):
        file.write_text(f"{token}\n")
        assert settings.token() == token


def test_the_first_key_file_that_exists_counts(tmp_path: Path) -> None:
    provider, general = tmp_path / "provider-key", tmp_path / "api-key"
    settings = AgentSettings("r", ("http://web",), key_files=(provider, general))
    model: ModelTarget = {"baseURL": "http://model", "headers": {}}
    assert settings.credentials(model) == (None, {})
    general.write_text("general\n")
    assert settings.credentials(model) == ("general", {})
    provider.write_text("own\n")
    assert settings.credentials(model) == ("own", {})


def test_a_provider_has_a_key_and_headers_of_its_own(tmp_path: Path) -> None:
    keys, headers = tmp_path / "keys/cloud", tmp_path / "headers/cloud"
    keys.mkdir(parents=True)
    headers.mkdir(parents=True)
    (headers / "X-Org").write_text("acme\n")
    (headers / "..data").mkdir()  # as Kubernetes mounts a Secret
    (keys / "key-2").write_text("general\n")
    settings = AgentSettings("r", ("http://web",), keys_dir=tmp_path / "keys", headers_dir=tmp_path / "headers")
    cloud: ModelTarget = {"baseURL": "http://model", "headers": {}, "key": "cloud"}
    assert settings.credentials(cloud) == ("general", {"x-org": "acme"})
    (keys / "key-0").write_text("own\n")
    assert settings.credentials(cloud) == ("own", {"x-org": "acme"})
    assert settings.credentials({"baseURL": "http://model", "headers": {}, "key": "other"}) == (None, {})
