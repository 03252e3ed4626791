"""Chats that are said in a dialect and read back: nothing is lost, and the wire's form is the vendor's."""

import itertools
import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.fakes.vendors import events

from sympozium_agent.completion import CompletionAccumulator
from sympozium_agent.providers import anthropic_request, gemini_request
from sympozium_agent.providers.anthropic_answer import AnthropicAnswer
from sympozium_agent.providers.chunk_parser import ChunkParser, OpenAIChunks
from sympozium_agent.providers.deepseek import DeepSeekChunks
from sympozium_agent.providers.gemini_answer import GeminiAnswer
from sympozium_agent.providers.groq import GroqChunks
from sympozium_agent.providers.provider import Translation
from sympozium_agent.providers.xai import XAIChunks
from sympozium_api.json_members import compact

Object = dict[str, Any]

texts = st.text(st.characters(codec="utf-8"), max_size=20)
full_texts = st.text(st.characters(codec="utf-8"), min_size=1, max_size=20)
names = st.text("abcdefgh_", min_size=1, max_size=8)
objects = st.dictionaries(
    texts, st.one_of(texts, st.integers(-9, 9), st.none(), st.lists(texts, max_size=2)), max_size=3
)
turns = st.builds(
    lambda thinking, content, calls: {
        "thinking": thinking,
        "content": content,
        "calls": [[f"call_{n}", name, json.dumps(value)] for n, (name, value) in enumerate(calls)],
    },
    texts,
    texts,
    st.lists(st.tuples(names, objects), max_size=3),
)
TRANSLATIONS: dict[str, type[Translation]] = {
    "anthropic": AnthropicAnswer,
    "gemini": GeminiAnswer,
    "azure": OpenAIChunks,
    "groq": GroqChunks,
    "deepseek": DeepSeekChunks,
    "mistral": OpenAIChunks,
    "xai": XAIChunks,
    "ollama": OpenAIChunks,
}


@given(st.sampled_from(sorted(TRANSLATIONS)), turns, st.integers(1, 40))
@settings(max_examples=120)
def test_an_answer_in_any_dialect_is_read_as_it_was_meant(dialect: str, turn: Object, piece: int) -> None:
    raw = b"".join(events(dialect, turn))
    parser, completion = ChunkParser(TRANSLATIONS[dialect]()), CompletionAccumulator("run")
    chunks = [chunk for at in range(0, len(raw), piece) for chunk in parser.feed(raw[at : at + piece])]
    for chunk in [*chunks, *parser.close()]:
        completion.add(chunk)
    completion.close()
    [choice] = completion.choices()
    message = choice["message"]
    assert message["content"] or turn["content"] == ""
    assert (message.get("reasoning_content") or message.get("reasoning") or "") == turn["thinking"]
    calls = [call["function"] for call in message.get("tool_calls", [])]
    assert [(call["name"], json.loads(call["arguments"])) for call in calls] == [
        (name, json.loads(arguments)) for _, name, arguments in turn["calls"]
    ]
    assert len({call["id"] for call in message.get("tool_calls", [])}) == len(calls)
    assert choice["finish_reason"] == ("tool_calls" if calls else "stop")
    assert completion.usage["total_tokens"] == 12


def conversation(system: str, exchanges: list[tuple[str, Object]], last: str) -> list[Object]:
    """A chat as a caller sends it: each answer of the model with its calls, and their results."""
    messages: list[Object] = [{"role": "system", "content": system}] if system else []
    for number, (question, turn) in enumerate(exchanges):
        calls = [
            {"id": f"{identity}_{number}", "type": "function", "function": {"name": name, "arguments": arguments}}
            for identity, name, arguments in turn["calls"]
        ]
        messages += [{"role": "user", "content": question}, {"role": "assistant", "content": turn["content"] or None}]
        messages[-1] |= {"tool_calls": calls} if calls else {}
        messages += [{"role": "tool", "tool_call_id": call["id"], "content": turn["thinking"]} for call in calls]
    return [*messages, {"role": "user", "content": last}]


chats = st.builds(conversation, texts, st.lists(st.tuples(full_texts, turns), max_size=3), full_texts)


def said(messages: list[Object]) -> list[tuple[str, str, Any]]:
    """What a chat says, in order: texts that are not empty, calls and results."""
    result: list[tuple[str, str, Any]] = []
    for message in messages:
        role = message["role"]
        if role == "tool":
            result.append(("result", "", message["content"]))
            continue
        result += [(role, "", message["content"])] if message["content"] else []
        for call in message.get("tool_calls", []):
            result.append(("call", call["function"]["name"], json.loads(call["function"]["arguments"])))
    return result


def request(messages: list[Object]) -> dict[str, str]:
    return {"model": '"m"', "messages": compact(messages)}


@given(chats)
@settings(max_examples=100)
def test_a_chat_in_anthropics_words_says_the_same(messages: list[Object]) -> None:
    body = anthropic_request.translate(request(messages))
    found: list[tuple[str, str, Any]] = [("system", "", block["text"]) for block in body.get("system", [])]
    for turn in body["messages"]:
        for block in turn["content"]:
            match block["type"]:
                case "text":
                    found.append((turn["role"], "", block["text"]))
                case "tool_use":
                    found.append(("call", block["name"], block["input"]))
                case "tool_result":
                    found.append(("result", "", "".join(part["text"] for part in block["content"])))
    assert found == said(messages)
    roles = [turn["role"] for turn in body["messages"]]
    assert all(role != following for role, following in itertools.pairwise(roles))
    assert all(block.get("text") != "" for turn in body["messages"] for block in turn["content"])


@given(chats)
@settings(max_examples=100)
def test_a_chat_in_geminis_words_says_the_same(messages: list[Object]) -> None:
    body = gemini_request.translate(request(messages))
    found: list[tuple[str, str, Any]] = [
        ("system", "", part["text"]) for part in body.get("systemInstruction", {}).get("parts", [])
    ]
    for turn in body["contents"]:
        for part in turn["parts"]:
            if "functionCall" in part:
                found.append(("call", part["functionCall"]["name"], part["functionCall"]["args"]))
            elif "functionResponse" in part:
                found.append(("result", "", part["functionResponse"]["response"]["result"]))
            else:
                found.append(("assistant" if turn["role"] == "model" else "user", "", part["text"]))
    assert found == said(messages)
    roles = [turn["role"] for turn in body["contents"]]
    assert all(role != following for role, following in itertools.pairwise(roles))


def test_images_files_and_options_in_anthropics_words() -> None:
    image, file = "data:image/png;base64,aWk=", "data:application/pdf;base64,cGRm"
    parts = [
        {"type": "text", "text": "See", "cache_control": {"type": "ephemeral"}},
        {"type": "image_url", "image_url": {"url": image, "detail": "low"}},
        {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}},
        {"type": "file", "file": {"file_data": file, "filename": "a.pdf"}},
    ]
    given = {
        "model": "claude-sonnet-4-5",
        "messages": [{"role": "user", "content": parts}],
        "max_completion_tokens": 9000,
        "stop": "END",
        "user": "u1",
        "reasoning_effort": "high",
        "service_tier": "auto",
        "parallel_tool_calls": False,
        "tools": [{"type": "function", "function": {"name": "now", "strict": True}}],
        "tool_choice": {"type": "function", "function": {"name": "now"}},
        "response_format": {"type": "json_schema", "json_schema": {"name": "a", "schema": {"type": "object"}}},
    }
    body = anthropic_request.translate({name: compact(value) for name, value in given.items()})
    assert body["messages"][0]["content"] == [
        {"type": "text", "text": "See", "cache_control": {"type": "ephemeral"}},
        {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "aWk="}},
        {"type": "image", "source": {"type": "url", "url": "https://example.com/a.png"}},
        {"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": "cGRm"}},
    ]
    del body["messages"]
    assert body == {
        "model": "claude-sonnet-4-5",
        "max_tokens": 9000,
        "stop_sequences": ["END"],
        "metadata": {"user_id": "u1"},
        "thinking": {"type": "enabled", "budget_tokens": 4500},
        "service_tier": "auto",
        "tools": [{"name": "now", "input_schema": {"type": "object", "properties": {}}, "strict": True}],
        "tool_choice": {"type": "tool", "name": "now", "disable_parallel_tool_use": True},
        "output_config": {"format": {"type": "json_schema", "schema": {"type": "object"}}},
    }


def test_newer_models_of_anthropic_choose_their_thinking_by_effort() -> None:
    body = anthropic_request.translate(
        request([{"role": "user", "content": "Hi"}]) | {"model": '"claude-opus-4-7"', "reasoning_effort": '"low"'}
    )
    assert (body["thinking"]["type"], body["output_config"]) == ("adaptive", {"effort": "low"})


def test_images_and_options_in_geminis_words() -> None:
    parts = [
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,aWk="}},
        {"type": "image_url", "image_url": "gs://bucket/a.png"},
        {"type": "input_audio", "input_audio": {"data": "d2F2", "format": "wav"}},
    ]
    given = {
        "model": "gemini-2.5-flash",
        "messages": [{"role": "user", "content": parts}],
        "max_tokens": 90,
        "stop": ["A", "B"],
        "n": 2,
        "seed": 3,
        "logprobs": True,
        "top_logprobs": 4,
        "reasoning_effort": "low",
        "response_format": {"type": "json_object"},
        "tools": [{"type": "function", "function": {"name": "now", "parameters": {"type": "object"}}}],
        "tool_choice": {"type": "function", "function": {"name": "now"}},
    }
    body = gemini_request.translate({name: compact(value) for name, value in given.items()})
    assert body == {
        "contents": [
            {
                "role": "user",
                "parts": [
                    {"inlineData": {"mimeType": "image/png", "data": "aWk="}},
                    {"fileData": {"fileUri": "gs://bucket/a.png"}},
                    {"inlineData": {"mimeType": "audio/wav", "data": "d2F2"}},
                ],
            }
        ],
        "tools": [{"functionDeclarations": [{"name": "now", "parametersJsonSchema": {"type": "object"}}]}],
        "toolConfig": {"functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": ["now"]}},
        "generationConfig": {
            "maxOutputTokens": 90,
            "stopSequences": ["A", "B"],
            "candidateCount": 2,
            "seed": 3,
            "responseLogprobs": True,
            "logprobs": 4,
            "responseMimeType": "application/json",
            "thinkingConfig": {"thinkingBudget": 1024, "includeThoughts": True},
        },
    }


def test_a_call_of_another_vendor_passes_geminis_check_of_signatures() -> None:
    call = {"id": "c", "type": "function", "function": {"name": "now", "arguments": "{}"}}
    messages: list[Object] = [
        {"role": "user", "content": "Hi"},
        {"role": "assistant", "content": None, "tool_calls": [call]},
    ]
    for model, signature in (("gemini-3-pro", gemini_request.NO_SIGNATURE), ("gemini-2.5-pro", None)):
        body = gemini_request.translate(request(messages) | {"model": compact(model)})
        assert body["contents"][1]["parts"][0].get("thoughtSignature") == signature
