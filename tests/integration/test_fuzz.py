"""Random bodies: each gets an answer or an error of the caller's, never of the server's, and leaves nothing behind.

A hundred bodies here; ``--hypothesis-profile=malformed-100000`` sends more.
"""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.fakes.model import Model
from tests.integration.conftest import KEY, Proxy, eventually

from sympozium_api.resources import RUNS

characters = st.characters()  # halves of surrogate pairs too
texts = st.text(characters, max_size=20)
leaves = st.none() | st.booleans() | st.integers() | st.integers(2**62, 2**65) | st.floats() | texts
values: st.SearchStrategy[Any] = st.recursive(
    leaves, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4), max_leaves=20
)
parts = st.fixed_dictionaries({"type": st.sampled_from(["text", "image_url", "input_audio", "file"]) | texts}) | values
messages = st.fixed_dictionaries(
    {"role": st.sampled_from(["system", "developer", "user", "assistant", "tool", "function"]) | texts},
    optional={"content": texts | st.lists(parts, max_size=3), "tool_calls": values, "name": values},
)
FIELDS: dict[str, st.SearchStrategy[Any]] = {
    "model": st.sampled_from(["default", "demo", "embed"]),
    "stream": st.booleans(),
    "stream_options": st.fixed_dictionaries({}, optional={"include_usage": st.booleans()}),
    "temperature": st.floats(0, 2),
    "n": st.integers(1, 3),
    "tools": st.lists(st.dictionaries(texts, values, max_size=2), max_size=2),
    "metadata": st.dictionaries(texts, texts, max_size=3),
    "stop": st.lists(texts, max_size=2),
    "seed": st.integers(),
    "store": st.booleans(),
    "modalities": st.lists(texts),
}
optional = {name: strategy | values for name, strategy in FIELDS.items()}
tokens = st.lists(st.integers(0, 2**65), max_size=3)
inputs = texts | tokens | st.lists(texts, max_size=3) | st.lists(tokens, max_size=3) | values
items = st.fixed_dictionaries(
    {"role": st.sampled_from(["user", "system", "developer", "assistant"]) | texts},
    optional={"content": texts | st.lists(parts, max_size=3), "type": st.just("message") | texts},
) | st.fixed_dictionaries(
    {"type": st.sampled_from(["function_call", "function_call_output", "item_reference", "reasoning"])},
    optional=dict.fromkeys(("id", "call_id", "name", "arguments", "output", "summary"), texts | values),
)
bodies = {
    "/v1/chat/completions": st.fixed_dictionaries(
        {"messages": st.lists(messages, min_size=1, max_size=3) | values}, optional=optional
    ),
    "/v1/responses": st.fixed_dictionaries(
        {"input": texts | st.lists(items, min_size=1, max_size=3) | values},
        optional=dict.fromkeys(("background", "store", "stream"), st.booleans())
        | dict.fromkeys(("text", "reasoning", "tool_choice"), st.none() | values)
        | {"instructions": texts, "previous_response_id": st.none() | texts},
    ),
    "/v1/completions": st.fixed_dictionaries({"prompt": inputs}, optional=optional),
    "/v1/embeddings": st.fixed_dictionaries({"input": inputs}, optional=optional),
}


@st.composite
def requests(draw: st.DrawFn) -> tuple[str, bytes]:
    """A path, and the body of one that almost fits, or bytes of any kind."""
    path = draw(st.sampled_from(sorted(bodies)))
    raw = json.dumps(draw(bodies[path])).encode()
    match draw(st.integers(0, 9)):
        case 0:
            return path, draw(st.binary(max_size=200))
        case 1:
            cut, inserted = draw(st.integers(0, len(raw))), draw(st.binary(max_size=5))
            return path, raw[:cut] + inserted + raw[cut:]
    return path, raw


@pytest.fixture
async def fuzzed(proxy: Proxy, model: Model) -> AsyncIterator[Proxy]:
    """A web-proxy whose runs end as soon as they are made."""
    await proxy.use_model(model, "instant", agent={"embeddingModels": ["embed"]})

    async def end_runs() -> None:
        ended = {"phase": "Succeeded", "result": "Hello", "finishReason": "stop"}
        while True:
            for name in proxy.kubernetes.names(RUNS):
                run = proxy.kubernetes.object(RUNS, name)
                if "phase" not in run["status"]:
                    _is_what_an_api_server_keeps(run)
                    proxy.kubernetes.put(run | {"status": ended})
            await asyncio.sleep(0.001)

    ending = asyncio.create_task(end_runs())
    yield proxy
    ending.cancel()
    with pytest.raises(asyncio.CancelledError):
        await ending


def _is_what_an_api_server_keeps(value: Any) -> None:
    json.dumps(value, allow_nan=False, ensure_ascii=False).encode()
    waiting = [value]
    while waiting:
        found = waiting.pop()
        assert type(found) is not int or -(2**63) <= found < 2**63
        waiting += found.values() if isinstance(found, dict) else found if isinstance(found, list) else ()


@settings(suppress_health_check=list(HealthCheck))
@given(asked=requests())
async def test_no_body_causes_a_server_error_or_leaves_anything(fuzzed: Proxy, asked: tuple[str, bytes]) -> None:
    path, body = asked
    fuzzed.clock.advance(60)
    before = len(asyncio.all_tasks())
    headers = {"Authorization": f"Bearer {KEY}", "Content-Type": "application/json"}

    response = await fuzzed.http.post(path, content=body, headers=headers)

    assert response.status_code < 500, response.text
    if response.status_code >= 400:
        error = response.json()["error"]
        assert set(error) == {"message", "type", "param", "code"}
        assert len(error["message"]) < 1000
    for name in fuzzed.kubernetes.names(RUNS):
        fuzzed.kubernetes.remove(RUNS, name)
    await eventually(lambda: not fuzzed.context.runs._broker._topics and not fuzzed.context.open_runs())
    await eventually(lambda: len(asyncio.all_tasks()) <= before + 1)
