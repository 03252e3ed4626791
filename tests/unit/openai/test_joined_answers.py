"""The joiner: any cut of any vendor's stream gives the same whole, and what is streamed joins to the same whole.

Two thousand cuts of a hundred streams here, and as many interrupted responses; ``make fuzz`` tries 100,000 of each, of 5,000 streams.
"""

import json
from itertools import pairwise
from random import Random
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from openai.lib.streaming.chat import ChatCompletionStreamState
from openai.types.chat import ChatCompletionChunk
from tests.unit.provider_streams import Streamed, streams

from sympozium_agent.completion import CompletionAccumulator, extra_fields
from sympozium_agent.providers.chunk_parser import ChunkParser
from sympozium_api.agent_records import Delta, Done
from sympozium_openai import chat
from sympozium_openai.responses_events import ResponseEvents
from sympozium_openai.responses_object import ResponseObject, assistant_message
from sympozium_webproxy.protocol.mcp import results

Object = dict[str, Any]

HEAD = chat.CompletionHead("run-1", 0, "m")
CUTS = 20
"""Cuts of each stream."""


def answered(pieces: list[bytes], *, legacy_functions: bool = False) -> tuple[list[Delta], Done]:
    """Return the records that an agent sends of an answer that arrives in these pieces."""
    parser, completion = ChunkParser(), CompletionAccumulator("run-1", legacy_functions=legacy_functions)
    chunks = [chunk for piece in pieces for chunk in parser.feed(piece)]
    chunks += parser.close()
    forwarded = [fresh for chunk in chunks for fresh in completion.add(chunk)] + completion.close()
    deltas = [Delta(type="delta", choices=chunk["choices"], about=extra_fields(chunk)) for chunk in forwarded]
    done = Done(type="done", choices=completion.choices(), usage=completion.usage, durationMs=0)
    return deltas, Done(**done, about=completion.extra_fields)


def joined_by_the_sdk(deltas: list[Delta], done: Done) -> Object:
    """Return what OpenAI's helper joins from the chunks that a caller is sent."""
    chunks = chat.ChatChunks(HEAD, include_usage=True)
    sent = [chunks.delta(record) for record in deltas] + chunks.end(done)
    state: Any = ChatCompletionStreamState()
    for chunk in json.loads(json.dumps(sent)):
        list(state.handle_chunk(ChatCompletionChunk.model_validate(chunk)))
    found: Object = state.current_completion_snapshot.to_dict()
    return found


def essence(completion: Object) -> Object:
    """Return the parts of a completion that say something, without the helper's own."""
    [choice] = completion["choices"]
    message = {key: value for key, value in choice["message"].items() if value not in (None, [])}
    message.pop("parsed", None)
    calls = [
        {key: value for key, value in call.items() if key not in ("index", "parsed_arguments")}
        | {"function": {key: call["function"][key] for key in ("name", "arguments")}}
        for call in message.pop("tool_calls", [])
    ]
    return {"message": message, "calls": calls, "finish": choice["finish_reason"], "usage": completion.get("usage")}


@given(streamed=streams(), seed=st.integers(0, 2**32))
def test_any_cut_of_any_stream_gives_the_same_whole_and_the_same_chunks(streamed: Streamed, seed: int) -> None:
    random, raw = Random(seed), streamed.raw
    uncut = answered([raw])
    assert answered([raw[place : place + 1] for place in range(len(raw))]) == uncut
    for _ in range(CUTS - 1):
        places = [0, *sorted(random.choices(range(len(raw) + 1), k=random.randrange(9))), len(raw)]
        assert answered([raw[start:end] for start, end in pairwise(places)]) == uncut


@given(streamed=streams())
def test_what_is_streamed_is_joined_by_the_sdk_to_the_whole_answer(streamed: Streamed) -> None:
    deltas, done = answered([streamed.raw])
    assert essence(joined_by_the_sdk(deltas, done)) == essence(chat.completion(HEAD, done))


@given(streamed=streams())
def test_nothing_of_any_stream_is_lost(streamed: Streamed) -> None:
    deltas, done = answered([streamed.raw])
    [choice] = done["choices"]
    message = choice["message"]
    responses = assistant_message(message, "run-1")
    assert (message["content"] or "", message.get("refusal") or "") == (streamed.content, streamed.refusal)
    assert (responses.reasoning, responses.text, responses.refusal) == (
        streamed.reasoning,
        streamed.content,
        streamed.refusal,
    )
    assert results.answer(done) == (streamed.content or streamed.refusal)
    assert "".join(results.piece(record["choices"]) for record in deltas) in (streamed.content, results.answer(done))
    calls = message.get("tool_calls", [])
    assert [(call["function"]["name"], json.loads(call["function"]["arguments"])) for call in calls] == [
        (name, given) for _, name, given in streamed.calls
    ]
    given_ids = [identity or call["id"] for call, (identity, _, _) in zip(calls, streamed.calls, strict=True)]
    assert [call["id"] for call in calls] == given_ids
    assert len(set(given_ids)) == len(given_ids)
    assert all(given_ids)
    assert choice["finish_reason"] == streamed.finish
    assert done["usage"] == streamed.usage


def response_events(deltas: list[Delta], done: Done, *, after: int = -1) -> list[Object]:
    """Return the events of a response after one that its caller has, as a replica with these records of its run sends them."""
    events = ResponseEvents(ResponseObject("run-1", 0, "m", None, {}), after=after)
    sent = [*events.begin(), *events.started()]
    sent += [event for record in deltas for event in events.delta(record)]
    return sent + events.end(done, 1)


def joined_events(sent: list[Object]) -> list[Object]:
    """Return events with the pieces of each text as one, without the pieces' numbers."""
    joined: list[Object] = []
    for event in sent:
        if "delta" not in event:
            joined.append(event)
            continue
        piece = {key: value for key, value in event.items() if key != "sequence_number"}
        if joined and joined[-1]["type"] == piece["type"]:
            joined[-1] = piece | {"delta": joined[-1]["delta"] + piece["delta"]}
        else:
            joined.append(piece)
    return joined


@given(streamed=streams())
def test_the_events_of_a_response_hold_each_piece_once(streamed: Streamed) -> None:
    deltas, done = answered([streamed.raw])
    sent = response_events(deltas, done)
    names = {
        "reasoning_summary_text": streamed.reasoning,
        "output_text": streamed.content,
        "refusal": streamed.refusal,
        "function_call_arguments": "".join(
            call["function"]["arguments"] for call in done["choices"][0]["message"].get("tool_calls", [])
        ),
    }
    for name, text in names.items():
        assert "".join(event["delta"] for event in sent if event["type"] == f"response.{name}.delta") == text
    added = [event["item"]["type"] for event in sent if event["type"] == "response.output_item.added"]
    assert added == [item["type"] for item in sent[-1]["response"]["output"]]
    numbers = [event["sequence_number"] for event in sent]
    assert numbers == sorted(set(numbers))


@given(streamed=streams(), seed=st.integers(0, 2**32))
def test_a_response_continued_after_any_event_at_any_replica_gives_the_same_events(
    streamed: Streamed, seed: int
) -> None:
    """Every other replica has the end of the answer only."""
    random = Random(seed)
    deltas, done = answered([streamed.raw])
    sent = response_events(deltas, done)
    for number in range(CUTS):
        here, there = (deltas, []) if number % 2 else ([], deltas)
        begun = response_events(here, done)
        kept = begun[: random.randrange(len(begun) + 1)]
        rest = response_events(there, done, after=kept[-1]["sequence_number"] if kept else -1)
        assert joined_events(kept + rest) == joined_events(sent)
