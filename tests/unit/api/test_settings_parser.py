"""Settings of all processes: what is invalid is refused with the variable's name and what would be right."""

from collections.abc import Callable
from typing import Any

import pytest

from sympozium_api import settings_parser as settings
from sympozium_api.settings_parser import InvalidSetting, SettingsParser


@pytest.mark.parametrize(
    ("parse", "text", "value"),
    [
        (settings.one_of("a", "b"), "b", "b"),
        (settings.boolean, "false", False),
        (settings.whole_number(1, 9), "9", 9),
        (settings.number(0, 1), "0.25", 0.25),
        (settings.duration, "1h30m", 5400),
        (settings.duration, "1d12h", 129_600),
        (settings.duration_between("1s", "1h"), "60m", 3600),
        (settings.byte_count("1Ki", "2Mi"), "64Ki", 65536),
        (settings.http_url, "https://collector:4318/", "https://collector:4318"),
        (settings.optional(settings.http_url), "", ""),
        (settings.json_like("[1]", list), "[2]", [2]),
    ],
)
def test_a_valid_text_becomes_its_value(parse: Callable[[str], Any], text: str, value: Any) -> None:
    assert SettingsParser({"NAME": text}).read("NAME", text, parse) == value
    assert SettingsParser({}).read("NAME", text, parse) == value


@pytest.mark.parametrize(
    ("parse", "text", "message"),
    [
        (settings.one_of("a", "b"), "c", "NAME: 'c' is not one of a, b"),
        (settings.boolean, "yes", "NAME: 'yes' is not one of true, false"),
        (settings.whole_number(1, 9), "10", "NAME: '10' is not a whole number from 1 to 9"),
        (settings.whole_number(1, 9), "²", "NAME: '²' is not a whole number from 1 to 9"),
        (settings.number(0, 1), "nan", "NAME: 'nan' is not a number from 0 to 1"),
        (settings.duration, "0s", "NAME: '0s' is not a duration such as 90s or 1h30m"),
        (settings.duration, "soon", "NAME: 'soon' is not a duration such as 90s or 1h30m"),
        (settings.duration_between("1s", "1h"), "2h", "NAME: '2h' is not a duration from 1s to 1h"),
        (settings.byte_count("1Ki", "2Mi"), "1023", "NAME: '1023' is not a number of bytes from 1Ki to 2Mi"),
        (settings.http_url, "http://$(HOST)", "NAME: 'http://$(HOST)' is not an http URL"),
        (settings.json_like("[1]", list), "{}", "NAME: '{}' is not JSON such as [1]"),
        (settings.json_like("[1]", list), "[", "NAME: '[' is not JSON such as [1]"),
    ],
)
def test_an_invalid_text_stops_the_process_with_the_reason(
    parse: Callable[[str], Any], text: str, message: str
) -> None:
    with pytest.raises(InvalidSetting) as refusal:
        SettingsParser({"NAME": text}).read("NAME", "", parse)
    assert refusal.value.code == message


@pytest.mark.parametrize("variables", [{}, {"NAME": ""}])
def test_a_required_variable_must_be_set(variables: dict[str, str]) -> None:
    with pytest.raises(InvalidSetting, match=r"^NAME is not set$"):
        SettingsParser(variables).required("NAME")
    assert SettingsParser({"NAME": "here"}).required("NAME") == "here"
