"""A real model server, llama.cpp's, behind the web endpoint: what is passed on has its effect there."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import BaseModel
from tests.e2e.conftest import Endpoint, Namespace, instance

MESSAGES: Any = [{"role": "user", "content": "Where is the Eiffel Tower? Name the city."}]


class Place(BaseModel):
    """A schema from which the model server makes its grammar."""

    city: str
    is_capital: bool


@pytest.fixture(scope="module")
def local(namespace: Namespace) -> Iterator[Endpoint]:
    """An instance on the small model that every local cluster has."""
    url = "http://local-model.local-model.svc:8080/v1"
    limit = {"requestsPerMinute": 60_000, "burstSize": 1000}
    skills = [{"skillPackRef": "web-endpoint"}]
    namespace.apply(instance("local", base_url=url, model="smollm2", skills=skills, webEndpoint={"rateLimit": limit}))
    endpoint = Endpoint(namespace, "local").serves()
    yield endpoint
    endpoint.close()
    namespace.delete("instance", "local", "--wait=false")


def test_tokens_come_one_by_one_and_are_counted(local: Endpoint) -> None:
    chunks = list(
        local.sdk.chat.completions.create(
            model="default", messages=MESSAGES, stream=True, max_tokens=12, stream_options={"include_usage": True}
        )
    )
    pieces = [c.choices[0].delta.content for c in chunks if c.choices and c.choices[0].delta.content]
    assert len(pieces) > 3
    assert chunks[-1].usage is not None
    assert 3 < chunks[-1].usage.completion_tokens <= 12


def test_a_schema_forces_the_answer_into_its_form(local: Endpoint) -> None:
    parsed = local.sdk.chat.completions.parse(
        model="default", messages=MESSAGES, response_format=Place, max_tokens=60, temperature=0
    )
    assert isinstance(parsed.choices[0].message.parsed, Place)


def test_a_seed_and_no_temperature_give_the_same_answer_twice(local: Endpoint) -> None:
    texts = {
        local.chat("Count to five.", seed=7, temperature=0, max_tokens=16).json()["choices"][0]["message"]["content"]
        for _ in range(2)
    }
    assert len(texts) == 1


def test_logprobs_and_the_servers_own_extras_come_through(local: Endpoint) -> None:
    answer = local.sdk.chat.completions.create(
        model="default", messages=MESSAGES, max_tokens=4, logprobs=True, top_logprobs=2, extra_body={"top_k": 3}
    )
    [choice] = answer.choices
    assert choice.logprobs is not None
    assert choice.logprobs.content
    assert all(len(token.top_logprobs) == 2 for token in choice.logprobs.content)
    assert choice.finish_reason == "length"


def test_a_prompt_is_continued(local: Endpoint) -> None:
    answer = local.sdk.completions.create(model="default", prompt="The sky is", max_tokens=5, temperature=0)
    assert answer.choices[0].text
    assert answer.usage is not None


def test_a_stop_word_ends_the_answer(local: Endpoint) -> None:
    schema = {"type": "json_schema", "json_schema": {"name": "p", "schema": Place.model_json_schema()}}
    answer = local.chat("Paris", response_format=schema, stop=['"city"'], max_tokens=40).json()
    text = answer["choices"][0]["message"]["content"]
    assert '"city"' not in text
    assert not text.strip() or not _is_json(text)


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True
