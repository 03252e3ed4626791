"""The name under which a ceiling of an answer's tokens reaches a model server."""

import pytest

from sympozium_api.model_params import ModelParams, complete

OPENAI = "https://api.openai.com/v1"
AZURE = "https://house.openai.azure.com/openai/v1"
LOCAL = "http://ollama.models.svc:11434/v1"


@pytest.mark.parametrize(
    ("base_url", "params", "sent", "expected"),
    [
        (OPENAI, {}, {}, {"max_completion_tokens": "9"}),
        (AZURE, {}, {}, {"max_completion_tokens": "9"}),
        ("https://notopenai.com/v1", {}, {}, {"max_tokens": "9"}),
        (LOCAL, {}, {}, {"max_tokens": "9"}),
        ("http://[v1", {}, {}, {"max_tokens": "9"}),
        (LOCAL, {}, {"max_tokens": "null"}, {"max_tokens": "9"}),
        (OPENAI, {}, {"max_tokens": "5"}, {"max_tokens": "5"}),
        (OPENAI, {}, {"max_completion_tokens": "99"}, {"max_completion_tokens": "9"}),
        (LOCAL, {"max_completion_tokens": 4}, {}, {"max_completion_tokens": "4"}),
        (LOCAL, {"max_completion_tokens": 4}, {"max_tokens": "6"}, {"max_tokens": "6"}),
        (OPENAI, {"max_tokens": 4}, {}, {"max_tokens": "4"}),
        (OPENAI, {"max_tokens": 4}, {"max_completion_tokens": "6"}, {"max_completion_tokens": "6"}),
        (LOCAL, {"max_tokens": 4}, {"max_completion_tokens": "6"}, {"max_completion_tokens": "6", "max_tokens": "6"}),
    ],
)
def test_the_server_gets_the_name_that_it_knows(
    base_url: str, params: dict[str, int], sent: dict[str, str], expected: dict[str, str]
) -> None:
    request = complete(sent, ModelParams.model_validate(params), 9, chat=True, base_url=base_url)
    assert request == expected


@pytest.mark.parametrize("text", ["9" * 5000, "[" * 100_000 + "]" * 100_000, "-1", "1e999", '"x"', "true"])
def test_a_value_that_is_no_number_below_the_ceiling_becomes_the_ceiling(text: str) -> None:
    request = complete({"max_tokens": text}, ModelParams(), 9, chat=True, base_url=LOCAL)
    assert request == {"max_tokens": "9"}


def test_a_completion_of_a_prompt_is_not_sent_what_only_chats_have() -> None:
    params = ModelParams(max_completion_tokens=4, reasoning_effort="low", verbosity="low", seed=1)
    assert complete({}, params, None, chat=False, base_url=OPENAI) == {"max_tokens": "4", "seed": "1"}
