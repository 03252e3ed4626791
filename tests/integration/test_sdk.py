"""The official Python SDK, from the web-proxy through a real agent to the scripted model."""

import json
from typing import Any

import openai
import pytest
from pydantic import BaseModel
from tests.fakes.agents import PROVIDER_KEY, Agents
from tests.fakes.model import DETAILS, REFUSAL, RICH_USAGE, TOKENS, TOOL_CALLS, Model
from tests.integration.conftest import Proxy

MESSAGES: Any = [{"role": "user", "content": "hello"}]
TEXT = "".join(TOKENS)
PIXEL = "data:image/png;base64,iVBORw0KGgo="
TOOL: Any = {
    "type": "function",
    "function": {"name": "get_weather", "parameters": {"type": "object", "properties": {}}},
}
CONVERSATION: Any = [
    {"role": "system", "content": "Be short."},
    {"role": "developer", "content": [{"type": "text", "text": "Be polite."}]},
    {
        "role": "user",
        "name": "ada",
        "content": [
            {"type": "text", "text": "What is this? ł😀"},
            {"type": "image_url", "image_url": {"url": PIXEL, "detail": "low"}},
            {"type": "input_audio", "input_audio": {"data": "UklGRg==", "format": "wav"}},
            {"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,JVBERi0="}},
        ],
    },
    {
        "role": "assistant",
        "content": None,
        "tool_calls": [{"id": "call_1", "type": "function", "function": {"name": "get_weather", "arguments": "{}"}}],
    },
    {"role": "tool", "tool_call_id": "call_1", "content": "Sunny"},
    {"role": "assistant", "content": "It is sunny."},
    {"role": "user", "content": "And tomorrow?"},
]
PASSED_ON: dict[str, Any] = {
    "temperature": 0.25,
    "top_p": 0.5,
    "max_completion_tokens": 100,
    "stop": ["\n", "END"],
    "seed": 2**62,
    "presence_penalty": -0.5,
    "frequency_penalty": 0.5,
    "logit_bias": {"50256": -100},
    "logprobs": True,
    "top_logprobs": 2,
    "n": 1,
    "response_format": {"type": "json_object"},
    "tools": [TOOL],
    "tool_choice": {"type": "function", "function": {"name": "get_weather"}},
    "parallel_tool_calls": False,
    "reasoning_effort": "low",
    "user": "ada",
    "metadata": {"team": "blue"},
    "modalities": ["text"],
    "prediction": {"type": "content", "content": "It is"},
    "service_tier": "flex",
    "store": False,
    "verbosity": "low",
    "web_search_options": {},
}


class Answered(BaseModel):
    """Model into which ``parse`` turns an answer."""

    city: str


async def test_the_whole_conversation_and_every_parameter_reach_the_model(
    proxy: Proxy, model: Model, agents: Agents, sdk: openai.AsyncOpenAI
) -> None:
    await proxy.use_model(model, "echo", memory={"systemPrompt": "You are a test."})

    answer = await sdk.chat.completions.create(
        model="default", messages=CONVERSATION, **PASSED_ON, extra_body={"top_k": 4, "guided": {"a": [1, None]}}
    )

    seen = json.loads(answer.choices[0].message.content or "")
    assert seen["body"].pop("messages") == [{"role": "system", "content": "You are a test."}, *CONVERSATION]
    ours = {"model": "echo", "stream": True, "stream_options": {"include_usage": True}}
    assert seen["body"] == PASSED_ON | {"top_k": 4, "guided": {"a": [1, None]}} | ours
    assert seen["headers"]["authorization"] == f"Bearer {PROVIDER_KEY}"


async def test_the_older_limit_of_tokens_reaches_the_model_too(
    proxy: Proxy, model: Model, agents: Agents, sdk: openai.AsyncOpenAI
) -> None:
    await proxy.use_model(model, "echo")
    answer = await sdk.chat.completions.create(model="default", messages=MESSAGES, max_tokens=5)
    assert json.loads(answer.choices[0].message.content or "")["body"]["max_tokens"] == 5


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"audio": {"voice": "alloy", "format": "wav"}}, "audio"),
        ({"modalities": ["text", "audio"]}, "modalities[1]"),
        ({"seed": 10**1000}, "seed"),
        ({"extra_body": {"deep": [{"x": -(10**1000)}]}}, "deep[0].x"),
        ({"metadata": {"a": "\ud800"}}, "metadata.a"),
        ({"metadata": {"\udc00": "a"}}, "metadata.?"),
    ],
)
async def test_what_cannot_be_honoured_is_refused_by_name(
    proxy: Proxy, sdk: openai.AsyncOpenAI, fields: dict[str, Any], param: str
) -> None:
    body = {"messages": MESSAGES} | fields | fields.pop("extra_body", {})
    with pytest.raises(openai.BadRequestError) as refused:
        await sdk.post("/chat/completions", cast_to=object, content=json.dumps(body).encode())
    assert refused.value.param == param
    assert param in refused.value.message


@pytest.mark.parametrize("stream", [False, True])
async def test_what_changes_nothing_of_the_meaning_is_left_out_and_named(
    proxy: Proxy, model: Model, agents: Agents, stream: bool
) -> None:
    await proxy.use_model(model, "echo")
    options = {"include_usage": True, "continuous_usage_stats": True, "include_obfuscation": True, "chunk, ł": 5}
    answer = await proxy.chat(stream=stream, stream_options=options, store=True, service_tier="flex")
    assert answer.status_code == 200
    named = [
        f"stream_options.{name}" for name in ("continuous_usage_stats", "chunk%2C%20%C5%82", "include_obfuscation")
    ]
    assert answer.headers["x-sympozium-ignored"] == ", ".join(named)
    if not stream:
        seen = json.loads(answer.json()["choices"][0]["message"]["content"])["body"]
        assert (seen["stream_options"], seen["service_tier"]) == ({"include_usage": True}, "flex")
        assert "store" not in seen


async def test_a_body_of_which_nothing_is_left_out_has_no_such_header(
    proxy: Proxy, model: Model, agents: Agents
) -> None:
    await proxy.use_model(model, "instant")
    answer = await proxy.chat(
        store=False, stream_options={"include_obfuscation": False, "continuous_usage_stats": False}
    )
    assert answer.status_code == 200
    assert "x-sympozium-ignored" not in answer.headers


async def test_calls_of_the_callers_tools_come_in_pieces_and_their_results_go_back(
    proxy: Proxy, model: Model, agents: Agents, sdk: openai.AsyncOpenAI
) -> None:
    await proxy.use_model(model, "tools")
    pieces: dict[int, dict[str, str]] = {}
    reasons, roles = [], []
    stream: Any = await sdk.chat.completions.create(model="default", messages=MESSAGES, tools=[TOOL], stream=True)
    async for chunk in stream:
        [choice] = chunk.choices
        reasons.append(choice.finish_reason)
        roles.append(choice.delta.role)
        for call in choice.delta.tool_calls or []:
            piece = pieces.setdefault(call.index, {"id": "", "name": "", "arguments": ""})
            piece["id"] += call.id or ""
            assert call.function
            piece["name"] += call.function.name or ""
            piece["arguments"] += call.function.arguments or ""
    assert [tuple(piece.values()) for piece in pieces.values()] == list(TOOL_CALLS)
    assert reasons[-1] == "tool_calls"
    assert not any(reasons[:-1])
    assert roles[0] == "assistant"

    answer = await sdk.chat.completions.create(model="default", messages=MESSAGES, tools=[TOOL])
    message: Any = answer.choices[0].message
    assert answer.choices[0].finish_reason == "tool_calls"
    results: Any = [{"role": "tool", "tool_call_id": call.id, "content": "Sunny"} for call in message.tool_calls or []]
    final = await sdk.chat.completions.create(
        model="default",
        messages=[*MESSAGES, message.model_dump(exclude_none=True), *results],
        tools=[TOOL],
    )
    assert final.choices[0].message.content == TEXT


async def test_the_sdks_stream_helper_puts_the_answer_together(
    proxy: Proxy, model: Model, agents: Agents, sdk: openai.AsyncOpenAI
) -> None:
    await proxy.use_model(model, "tools")
    async with sdk.chat.completions.stream(model="default", messages=MESSAGES) as stream:
        async for _ in stream:
            pass
        whole = await stream.get_final_completion()
    called = [call.function for call in whole.choices[0].message.tool_calls or []]
    assert [(function.name, function.arguments) for function in called] == [
        (name, arguments) for _, name, arguments in TOOL_CALLS
    ]


@pytest.mark.parametrize("stream", [False, True])
async def test_several_choices_with_logprobs_are_kept_apart(
    proxy: Proxy, agents: Agents, sdk: openai.AsyncOpenAI, stream: bool
) -> None:
    asked: Any = {"model": "default", "messages": MESSAGES, "n": 3, "logprobs": True}
    texts, tokens = ["", "", ""], [[], [], []]  # type: ignore[var-annotated]
    if stream:
        async for chunk in await sdk.chat.completions.create(**asked, stream=True):
            for choice in chunk.choices:
                texts[choice.index] += choice.delta.content or ""
                tokens[choice.index] += [one.token for one in choice.logprobs.content or []] if choice.logprobs else []
    else:
        for choice in (await sdk.chat.completions.create(**asked)).choices:
            texts[choice.index] = choice.message.content
            tokens[choice.index] = [one.token for one in choice.logprobs.content]
    assert texts == [TEXT] * 3
    assert tokens == [list(TOKENS)] * 3


async def test_a_refusal_is_a_refusal(proxy: Proxy, model: Model, agents: Agents, sdk: openai.AsyncOpenAI) -> None:
    await proxy.use_model(model, "refusal")
    message = (await sdk.chat.completions.create(model="default", messages=MESSAGES)).choices[0].message
    assert (message.refusal, message.content) == ("".join(REFUSAL), None)
    stream = await sdk.chat.completions.create(model="default", messages=MESSAGES, stream=True)
    pieces = [chunk.choices[0].delta.refusal async for chunk in stream]
    assert "".join(piece or "" for piece in pieces) == "".join(REFUSAL)


async def test_structured_output_is_requested_and_parsed(
    proxy: Proxy, model: Model, agents: Agents, sdk: openai.AsyncOpenAI
) -> None:
    await proxy.use_model(model, "refusal")
    parsed = await sdk.chat.completions.parse(model="default", messages=MESSAGES, response_format=Answered)
    assert parsed.choices[0].message.parsed is None
    asked = json.loads(model.last["body"])["response_format"]
    assert asked["type"] == "json_schema"
    assert asked["json_schema"]["schema"]["required"] == ["city"]


@pytest.mark.parametrize("stream", [False, True])
async def test_the_models_own_fields_of_an_answer_are_forwarded(
    proxy: Proxy, model: Model, agents: Agents, sdk: openai.AsyncOpenAI, stream: bool
) -> None:
    await proxy.use_model(model, "rich")
    asked: Any = {"model": "default", "messages": MESSAGES}
    if stream:
        asked |= {"stream": True, "stream_options": {"include_usage": True}}
        answers: Any = [chunk async for chunk in await sdk.chat.completions.create(**asked)]
    else:
        answers = [await sdk.chat.completions.create(**asked)]
    for answer in answers:
        assert (answer.system_fingerprint, answer.service_tier) == tuple(DETAILS.values())
        assert (answer.model, answer.id[:14]) == ("rich", "chatcmpl-demo-")
    assert answers[-1].usage.model_dump(exclude_none=True) == RICH_USAGE


async def test_a_repeated_request_gets_the_same_fields_of_the_answer(
    proxy: Proxy, model: Model, agents: Agents
) -> None:
    await proxy.use_model(model, "rich")
    first, again = [(await proxy.chat(headers={"Idempotency-Key": "k"})).json() for _ in range(2)]
    assert again["usage"] == RICH_USAGE
    assert {name: again[name] for name in DETAILS} == DETAILS
    assert (again["id"], again["choices"][0]["message"]) == (first["id"], first["choices"][0]["message"])


@pytest.mark.parametrize("stream", [False, True])
async def test_half_a_character_breaks_no_answer(
    proxy: Proxy, model: Model, agents: Agents, sdk: openai.AsyncOpenAI, stream: bool
) -> None:
    await proxy.use_model(model, "half")
    if stream:
        chunks = await sdk.chat.completions.create(model="default", messages=MESSAGES, stream=True)
        text = "".join([chunk.choices[0].delta.content or "" async for chunk in chunks])
    else:
        answer = await sdk.chat.completions.create(model="default", messages=MESSAGES)
        text = answer.choices[0].message.content or ""
    assert text.encode("utf-16", "surrogatepass").decode("utf-16", "replace").startswith("😀")


async def test_headers_tell_of_the_request_the_run_and_the_limits(
    proxy: Proxy, agents: Agents, sdk: openai.AsyncOpenAI
) -> None:
    raw = await sdk.chat.completions.with_raw_response.create(
        model="default", messages=MESSAGES, extra_headers={"x-request-id": "mine-1"}
    )
    assert raw.headers["x-request-id"] == "mine-1"
    assert raw.headers["x-sympozium-run"] in agents.exit_codes.keys() | {
        run["metadata"]["name"] for run in proxy.kubernetes.objects.values() if run["kind"] == "AgentRun"
    }
    assert int(raw.headers["openai-processing-ms"]) >= 0
    for name in ("limit", "remaining", "reset"):
        assert f"x-ratelimit-{name}-requests" in raw.headers


@pytest.mark.parametrize(
    ("script", "kind"),
    [
        ("status:400", openai.BadRequestError),
        ("status:404", openai.NotFoundError),
        ("status:422", openai.UnprocessableEntityError),
        ("status:429", openai.RateLimitError),
        ("status:500", openai.InternalServerError),
        ("errorframe", openai.APIError),
        ("cut", openai.APIError),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
async def test_a_models_failure_raises(
    proxy: Proxy,
    model: Model,
    agents: Agents,
    sdk: openai.AsyncOpenAI,
    script: str,
    kind: type[openai.APIError],
    stream: bool,
) -> None:
    await proxy.use_model(model, script)

    async def answered() -> None:
        answer: Any = await sdk.chat.completions.create(model="default", messages=MESSAGES, stream=stream)
        async for _ in answer:
            pass

    with pytest.raises(kind):
        await answered()
