"""Streams of model servers with the oddities of real ones, and the answers that they mean."""

import json
from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st

Object = dict[str, Any]

NOISE = (
    ": ping\n\n",
    ":\n\n",
    "data:\n\n",
    "data: \n\n",
    "data: : keepalive\n\n",
    "data: null\n\n",
    "data: []\n\n",
    "event: ping\ndata: {}\n\n",
    "retry: 3000\nid: 7\n\n",
    'data: {"type": "ping"}\n\n',
    'data: {"warning": "usage is not reported"}\n\n',
    'data: {"choices": [], "usage": null}\n\n',
    'data: {"choices": null}\n\n',
)
USAGE = {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10, "prompt_tokens_details": {"cached_tokens": 4}}
FINISH = {
    "stop": None,
    "tool_calls": None,
    "eos": None,
    "STOP": None,
    "end_turn": None,
    "": None,
    None: None,
    "OTHER": None,
    "length": "length",
    "MAX_TOKENS": "length",
    "content_filter": "content_filter",
    "SAFETY": "content_filter",
    "LANGUAGE": "content_filter",
}
"""Finish reasons of servers, with OpenAI's word for those that say that the answer was cut."""
CALL_STYLES = (
    *("openai", "repeated", "new_ids", "late_name", "gapped", "restarting", "unindexed", "null_index", "without_id"),
    *("whole", "whole_without_id", "objects", "same_id", "bare", "together", "function_call", "in_fragments_together"),
    *("name_last", "name_last_unindexed", "name_with_the_last"),
)

texts = st.text(st.characters(codec="utf-8"), max_size=24)
arguments = st.dictionaries(texts, st.one_of(texts, st.integers(), st.none(), st.lists(texts, max_size=2)), max_size=3)
names = st.text("abcdefgh_", min_size=1, max_size=8)


@dataclass(frozen=True)
class Streamed:
    """A stream as its bytes, and the answer that it means."""

    raw: bytes
    content: str
    reasoning: str
    refusal: str
    calls: list[tuple[str | None, str, Object]]
    """Id if the server gives one, name, arguments."""
    finish: str
    usage: Object


@st.composite
def cuts(draw: st.DrawFn, text: Any) -> list[Any]:
    """A text or bytes, cut anywhere, empty pieces included."""
    places = sorted(draw(st.lists(st.integers(0, len(text)), max_size=5)))
    return [text[start:end] for start, end in zip([0, *places], [*places, len(text)], strict=True)]


@st.composite
def streams(draw: st.DrawFn) -> Streamed:
    """A stream, or a whole completion, of any vendor."""
    content, reasoning, refusal = draw(texts), draw(st.one_of(st.just(""), texts)), draw(st.one_of(st.just(""), texts))
    wanted = draw(st.lists(st.tuples(names, arguments), max_size=3))
    style = draw(st.sampled_from(CALL_STYLES))
    if style in ("function_call", "without_id"):
        wanted = wanted[:1]
    deltas = [*draw(_reasoning_deltas(reasoning)), *draw(_content_deltas(content))]
    deltas += [{"refusal": piece} for piece in draw(cuts(refusal)) if refusal]
    calls = [
        (f"id{number}" if style not in _WITHOUT_IDS else None, name, given)
        for number, (name, given) in enumerate(wanted)
    ]
    for number, (name, given) in enumerate(wanted):
        deltas += draw(_call_deltas(style, number, name, given))
    if style == "together" and wanted:
        deltas = [delta for delta in deltas if "tool_calls" not in delta]
        deltas.append(
            {"tool_calls": [_call(None, f"id{n}", name, json.dumps(a)) for n, (name, a) in enumerate(wanted)]}
        )
    if draw(st.booleans()):
        deltas.insert(0, {"role": "assistant", "content": draw(st.sampled_from(["", None]))})
    nulls = draw(
        st.sets(st.sampled_from(["content", "refusal", "tool_calls", "function_call", "reasoning_content", "audio"]))
    )
    deltas = [dict.fromkeys(nulls - delta.keys()) | delta for delta in deltas]
    reason = draw(st.sampled_from(list(FINISH)))
    usage = draw(st.sampled_from(["none", "empty", "last", "early", "repeated", "in_choice", "growing"]))
    raw = draw(_framed(_chunks(draw(st.sampled_from(["own", "last"])), deltas, reason, usage), marked=not reason))
    return Streamed(
        raw,
        content,
        reasoning,
        refusal,
        calls,
        FINISH[reason] or ("tool_calls" if wanted else "stop"),
        {} if usage in ("none", "empty") else USAGE,
    )


_WITHOUT_IDS = ("without_id", "whole_without_id", "bare", "function_call")


@st.composite
def _content_deltas(draw: st.DrawFn, content: str) -> list[Object]:
    pieces = draw(cuts(content))
    return [{"content": draw(st.sampled_from(_content_forms(piece)))} for piece in pieces]


def _content_forms(piece: str) -> list[Any]:
    part = {"type": "text", "text": piece}
    return [piece, piece, [part], part, [piece], [part, {"type": "text", "text": ""}], [part, {"type": "text"}, None]]


@st.composite
def _reasoning_deltas(draw: st.DrawFn, reasoning: str) -> list[Object]:
    form = draw(
        st.sampled_from(["reasoning_content", "reasoning", "thinking", "both", "parts", "nested", "object", "mixed"])
    )
    return [delta for piece in draw(cuts(reasoning)) if (delta := _reasoning_delta(form, piece, draw)) and reasoning]


def _reasoning_delta(form: str, piece: str, draw: st.DrawFn) -> Object:
    match form:
        case "both":
            return {"reasoning": piece, "reasoning_content": piece}
        case "parts":
            return {"content": [{"type": "thinking", "thinking": piece}]}
        case "nested":
            return {"content": [{"type": "thinking", "thinking": [{"type": "text", "text": piece}], "closed": True}]}
        case "object":
            return {"reasoning": {"content": piece}}
        case "mixed":
            return _reasoning_delta(draw(st.sampled_from(["reasoning", "reasoning_content", "nested"])), piece, draw)
    return {form: piece}


@st.composite
def _call_deltas(draw: st.DrawFn, style: str, number: int, name: str, given: Object) -> list[Object]:
    pieces: list[str] = draw(cuts(json.dumps(given)))
    if style == "function_call":
        functions = [{"name": name, "arguments": ""}, *({"arguments": piece} for piece in pieces)]
        return [{"function_call": function} for function in functions]
    if style == "in_fragments_together":
        return [{"tool_calls": [_call(number, f"id{number}", name, ""), *_fragments(number, pieces)]}]
    calls = (
        _whole_calls(style, number, name, given)
        or _calls_with_a_late_name(style, number, name, pieces)
        or _calls_in_pieces(style, number, name, pieces)
    )
    return [{"tool_calls": draw(st.sampled_from([call, [call]]))} for call in calls]


def _whole_calls(style: str, number: int, name: str, given: Object) -> list[Object]:
    text, identity = json.dumps(given), f"id{number}"
    styles = {
        "restarting": [_call(0, identity, name, text)],
        "same_id": [_call(number, identity, name, text), _call(number, identity, name, text)],
        "whole": [_call(None, identity, name, text)],
        "whole_without_id": [_call(None, None, name, text)],
        "objects": [_call(number or None, identity, name, given)],
        "bare": [{"name": name, "arguments": given}],
    }
    return styles.get(style, [])


def _calls_with_a_late_name(style: str, number: int, name: str, pieces: list[str]) -> list[Object]:
    identity = f"id{number}"
    match style:
        case "late_name":
            return [{"index": number, "id": identity}, _call(number, None, name, None), *_fragments(number, pieces)]
        case "name_last" | "name_last_unindexed":
            at: Object = {"index": number} if style == "name_last" else {}
            rest = [at | {"function": {"arguments": piece}} for piece in pieces[1:]]
            return [at | _call(None, identity, None, pieces[0]), *rest, at | {"function": {"name": name}}]
        case "name_with_the_last":
            *first, last = pieces
            return [{"index": number, "id": identity}, *_fragments(number, first), _call(number, None, name, last)]
    return []


def _calls_in_pieces(style: str, number: int, name: str, pieces: list[str]) -> list[Object]:
    identity = f"id{number}"
    match style:
        case "repeated":
            return [_call(number, identity, name, piece) for piece in pieces]
        case "new_ids":
            rest = [_call(number, f"{identity}-{place}", None, piece) for place, piece in enumerate(pieces)]
            return [_call(number, identity, name, ""), *rest]
        case "unindexed" | "null_index":
            at: Object = {"index": None} if style == "null_index" else {}
            rest = [at | {"function": {"arguments": piece}} for piece in pieces]
            return [at | _call(None, identity, name, ""), *rest]
    index = number * 3 + 2 if style == "gapped" else number
    return [_call(index, None if style == "without_id" else identity, name, ""), *_fragments(index, pieces)]


def _fragments(index: int, pieces: list[str]) -> list[Object]:
    return [{"index": index, "function": {"arguments": piece}} for piece in pieces]


def _call(index: int | None, identity: str | None, name: str | None, given: Any) -> Object:
    at = {} if index is None else {"index": index}
    named = {} if name is None else {"name": name}
    return at | {"id": identity, "type": "function", "function": named | {"arguments": given}}


def _chunks(place: str, deltas: list[Object], reason: str | None, usage: str) -> list[Object]:
    """Return the chunks of these deltas; the finish reason comes in the last delta's own chunk or in one after it."""
    choices: list[Object] = [{"index": 0, "delta": delta, "finish_reason": None} for delta in deltas]
    if place == "own" or not choices:
        choices.append({"index": 0, "delta": {}})
    choices[-1] |= {"finish_reason": reason}
    chunks: list[Object] = [{"object": "chat.completion.chunk", "choices": [choice]} for choice in choices]
    match usage:
        case "empty":
            chunks[-1]["usage"] = {}
        case "last":
            chunks.append({"choices": [], "usage": USAGE})
        case "early":
            chunks[0]["usage"] = USAGE
            chunks[-1]["usage"] = chunks[-1].get("usage")
        case "repeated":
            chunks = [chunk | {"usage": USAGE} for chunk in chunks]
        case "in_choice":
            choices[-1]["usage"] = USAGE
        case "growing":
            chunks = [chunk | {"usage": {**USAGE, "completion_tokens": 0, "total_tokens": 7}} for chunk in chunks]
            chunks.append({"choices": [], "usage": USAGE})
    return chunks


@st.composite
def _framed(draw: st.DrawFn, chunks: list[Object], *, marked: bool) -> bytes:
    ascii_only, prefix = draw(st.booleans()), draw(st.sampled_from(["data: ", "data:"]))
    noise = st.lists(st.sampled_from(NOISE), max_size=1).map("".join)
    events = "".join(
        draw(noise) + prefix + json.dumps(chunk, ensure_ascii=ascii_only) + "\n\n" for chunk in chunks
    ) + draw(noise)
    if marked or draw(st.booleans()):
        events += f"{prefix}[DONE]\n\n"
    if draw(st.booleans()):
        events = events.rstrip("\n")
    return (
        draw(st.sampled_from(["", "\ufeff"])).encode()
        + events.replace("\n", draw(st.sampled_from(["\n", "\r\n", "\r"]))).encode()
    )
