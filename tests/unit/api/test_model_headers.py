"""Headers that a call of a model can carry."""

import h11
import pytest

from sympozium_api.agent_protocol import find_unsendable


@pytest.mark.parametrize("value", ["José", "a\nb", "a\r\nb", "line\n", " a", "a ", "\x00", "a\x7f", "\ud800"])
def test_a_value_beyond_printable_ascii_is_found(value: str) -> None:
    assert find_unsendable({"x-team": "blue", "x-user": value}) == "x-user"


@pytest.mark.parametrize("name", ["", "x user", "x:user", "x\nuser", "x-usér"])
def test_a_name_that_is_no_token_is_found(name: str) -> None:
    assert find_unsendable({name: "blue"}) == name


@pytest.mark.parametrize("value", ["", "blue", "a b\tc", "Basic dXNlcjpwYXNz", '"quoted", list; q=0.5'])
def test_what_is_not_found_can_be_sent(value: str) -> None:
    assert find_unsendable({"X-Team": value}) is None
    request = h11.Request(method="GET", target="/", headers=[("host", "model"), ("X-Team", value)])
    assert h11.Connection(h11.CLIENT).send(request)
