"""Settings of the web-proxy: what is invalid is refused with the variable's name."""

import pytest

from sympozium_api.settings_parser import InvalidSetting
from sympozium_webproxy.settings import from_environment

NEEDED = {"SYMPOZIUM_NAMESPACE": "team", "SYMPOZIUM_INSTANCE": "alice", "SYMPOZIUM_POD_IP": "fd00::7"}


def test_required_settings_and_their_defaults() -> None:
    found = from_environment(NEEDED)
    assert (found.namespace, found.instance, found.reply_to) == ("team", "alice", "http://[fd00::7]:8081")
    assert (found.max_body_bytes, found.keep_alive_seconds) == (8 * 1024 * 1024, 15)


@pytest.mark.parametrize(("text", "size"), [("2048", 2048), ("64Ki", 65536), ("8Mi", 8388608)])
def test_the_largest_body_can_be_set(text: str, size: int) -> None:
    assert from_environment(NEEDED | {"SYMPOZIUM_MAX_BODY": text}).max_body_bytes == size


def test_the_keep_alive_can_be_set() -> None:
    assert from_environment(NEEDED | {"SYMPOZIUM_KEEP_ALIVE": "1m30s"}).keep_alive_seconds == 90


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SYMPOZIUM_NAMESPACE", ""),
        ("SYMPOZIUM_POD_IP", ""),
        ("SYMPOZIUM_MAX_BODY", "much"),
        ("SYMPOZIUM_MAX_BODY", "1023"),
        ("SYMPOZIUM_MAX_BODY", "9Mi"),
        ("SYMPOZIUM_KEEP_ALIVE", "15"),
        ("SYMPOZIUM_KEEP_ALIVE", "0s"),
        ("SYMPOZIUM_KEEP_ALIVE", "2h"),
    ],
)
def test_an_invalid_setting_is_refused_by_name(name: str, value: str) -> None:
    with pytest.raises(InvalidSetting, match=f"^{name}"):
        from_environment(NEEDED | {name: value})
