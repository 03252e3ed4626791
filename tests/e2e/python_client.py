"""OpenAI's SDK for Python against an endpoint: the scenarios of ``openai_node.mjs``, reported as the same JSON."""

from collections.abc import Callable
from typing import Any

import openai
from tests.e2e.conftest import Endpoint

Told = dict[str, Any]
MESSAGES: Any = [{"role": "user", "content": "hello"}]
TOOLS: Any = [
    {"type": "function", "function": {"name": "get_weather", "parameters": {"type": "object", "properties": {}}}}
]


def whole(client: openai.OpenAI, model: str) -> Told:
    raw = client.chat.completions.with_raw_response.create(model=model, messages=MESSAGES)
    answer = raw.parse()
    [choice] = answer.choices
    assert answer.usage
    return {
        "text": choice.message.content,
        "reason": choice.finish_reason,
        "model": answer.model,
        "tokens": answer.usage.total_tokens,
        "run": raw.headers["x-sympozium-run"],
    }


def stream(client: openai.OpenAI, model: str) -> Told:
    texts, reason, tokens = [], None, None
    options: Any = {"stream": True, "stream_options": {"include_usage": True}}
    for chunk in client.chat.completions.create(model=model, messages=MESSAGES, **options):
        for choice in chunk.choices:
            texts += [choice.delta.content] if choice.delta.content else []
            reason = choice.finish_reason or reason
        tokens = chunk.usage.total_tokens if chunk.usage else tokens
    return {"texts": texts, "reason": reason, "tokens": tokens}


def tools(client: openai.OpenAI, model: str) -> Told:
    with client.chat.completions.stream(model=model, messages=MESSAGES, tools=TOOLS) as pieces:
        [choice] = pieces.get_final_completion().choices
    calls: Any = choice.message.tool_calls
    results = [{"role": "tool", "tool_call_id": call.id, "content": "Sunny"} for call in calls]
    asked: Any = [*MESSAGES, choice.message.model_dump(exclude_none=True, exclude={"parsed"}), *results]
    final = client.chat.completions.create(model=model, messages=asked, tools=TOOLS)
    return {
        "calls": [[call.id, call.function.name, call.function.arguments] for call in calls],
        "reason": choice.finish_reason,
        "final": final.choices[0].message.content,
    }


def refused(client: openai.OpenAI, model: str) -> Told:
    return _raised(lambda: client.chat.completions.create(model=model, messages=MESSAGES))


def broken(client: openai.OpenAI, model: str) -> Told:
    return _raised(lambda: list(client.chat.completions.create(model=model, messages=MESSAGES, stream=True)))


def late(client: openai.OpenAI, model: str) -> Told:
    headers = {"x-request-timeout": "3"}
    return _raised(lambda: client.chat.completions.create(model=model, messages=MESSAGES, extra_headers=headers))


def completion(client: openai.OpenAI, model: str) -> Told:
    [choice] = client.completions.create(model=model, prompt="One").choices
    return {"text": choice.text, "reason": choice.finish_reason}


def embeddings(client: openai.OpenAI, model: str) -> Told:
    answer = client.embeddings.create(model=model, input=["One", "Three"])
    return {"vectors": [item.embedding for item in answer.data], "model": answer.model}


def models(client: openai.OpenAI, model: str) -> Told:
    return {"models": [found.id for found in client.models.list()]}


def _raised(ask: Callable[[], object]) -> Told:
    try:
        ask()
    except openai.APIError as error:
        status = error.status_code if isinstance(error, openai.APIStatusError) else None
        return {"kind": type(error).__name__, "status": status, "code": error.code, "message": error.message}
    return {"kind": None}


SCENARIOS = (whole, stream, tools, refused, broken, late, completion, embeddings, models)


def ask(endpoint: Endpoint, scenario: str, model: str = "default") -> Told:
    """Return the SDK's report of one scenario."""
    return {found.__name__: found for found in SCENARIOS}[scenario](endpoint.sdk, model)
