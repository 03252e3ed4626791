"""Typed events of a response's stream, made from an agent's records.

``sequence_number`` counts one for each event, and for a piece of text one for each of its characters. So it says how
much of the answer a caller has, however the model cut the text into pieces, and any replica can continue a stream after
any number: a replica that has only the end of the answer sends the same events with the same numbers.

"""

import itertools
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from sympozium_api.agent_protocol import Delta, End
from sympozium_webproxy.protocol.openai import responses_object as answers
from sympozium_webproxy.protocol.openai.bodies import JsonObject
from sympozium_webproxy.protocol.openai.responses_object import AssistantMessage, ResponseObject

_NOTHING = AssistantMessage("", "", "", ())
_WORKS = "in_progress"
_BEGIN = 1
"""Number of the second event, after which the answer begins."""

Script = Iterable[tuple[int, JsonObject]]
"""Events in their order, each with what it adds to the sequence number."""


class ResponseEvents:
    """Events of one run, made from its records, without those up to ``after``, which the caller has."""

    def __init__(self, response: ResponseObject, *, after: int = -1) -> None:
        self._response = response
        self._told = after
        self._said = _NOTHING
        self._calls: dict[int, JsonObject] = {}
        self._logprobs: list[JsonObject] = []
        queued = response.params.get("background")
        self._created = {"type": "response.created", "response": response.ongoing("queued" if queued else _WORKS)}
        self._in_progress = {"type": "response.in_progress", "response": response.ongoing(_WORKS)}

    def begin(self) -> list[JsonObject]:
        """Return the event that opens the stream."""
        return self._untold([(1, self._created)])

    def started(self) -> list[JsonObject]:
        """Return the events that say that the run's agent works."""
        return self._untold(self._opening())

    def delta(self, record: Delta) -> list[JsonObject]:
        """Return the events of one piece of the model's stream."""
        events = []
        for choice in record["choices"]:
            if not choice.get("index"):
                self._hear(choice.get("delta") or {})
                self._logprobs += answers.logprobs(choice)
                events += self._untold(self._script(self._said, answers.logprobs(choice)))
        return events

    def end(self, record: End, completed: int) -> list[JsonObject]:
        """Return the events still to send once the run has ended at ``completed``."""
        whole = self._response.ended(record, completed)
        if record["type"] == "error":
            # No part stores how much of the answer was sent, so the stream continues from the caller's number.
            failed = {"type": "response.failed", "response": whole}
            return [*self.started(), failed | {"sequence_number": max(self._told, _BEGIN) + 1}]
        choice = answers.first_choice(record)
        fresh = [] if self._said.text else answers.logprobs(choice)
        self._logprobs = answers.logprobs(choice)
        said = answers.assistant_message(choice.get("message"), self._response.run)
        terminal = {"type": f"response.{whole['status']}", "response": whole}
        return self._untold(itertools.chain(self._script(said, fresh, status=whole["status"]), [(1, terminal)]))

    def _hear(self, delta: JsonObject) -> None:
        """Add a piece. A piece of a part that a later part has closed is sent with the whole response."""
        calls, said = delta.get("tool_calls"), self._said
        for call in calls if isinstance(calls, list) else []:
            if isinstance(call, dict):
                self._hear_call(call)
        piece = answers.assistant_message({**delta, "tool_calls": None}, self._response.run)
        refusal = said.refusal if said.calls else _joined(said.refusal, piece.refusal)
        text = said.text if said.calls or said.refusal else _joined(said.text, piece.text)
        begun = said.calls or said.refusal or said.text
        reasoning = said.reasoning if begun else _joined(said.reasoning, piece.reasoning)
        named = [self._calls[index] for index in sorted(self._calls) if self._calls[index]["function"]["name"]]
        heard = answers.assistant_message({"tool_calls": named}, self._response.run)
        self._said = replace(heard, reasoning=reasoning, text=text, refusal=refusal)

    def _hear_call(self, piece: JsonObject) -> None:
        index = piece["index"] if isinstance(piece.get("index"), int) else 0
        call = self._calls.setdefault(index, {"id": None, "function": {"name": None, "arguments": ""}})
        if index != max(self._calls):
            return
        function: Any = piece.get("function")
        given = function if isinstance(function, dict) else {}
        call["id"] = call["id"] or piece.get("id")
        call["function"]["name"] = call["function"]["name"] or given.get("name")
        arguments = given.get("arguments")
        call["function"]["arguments"] += arguments if isinstance(arguments, str) else ""

    def _untold(self, script: Script) -> list[JsonObject]:
        """Return the events that the caller does not have; of a piece that it has in part, the rest."""
        events, number = [], -1
        for weight, event in script:
            before, number = number, number + weight
            if number > self._told:
                cut = {"delta": event["delta"][self._told - before :]} if before < self._told else {}
                events.append(event | cut | {"sequence_number": number})
        self._told = max(self._told, number)
        return events

    def _opening(self) -> Script:
        yield 1, self._created
        yield 1, self._in_progress

    def _script(self, said: AssistantMessage, fresh: list[JsonObject], *, status: str | None = None) -> Script:
        """Return all events so far; with the ``status`` of the whole, all events up to the answer's end.

        ``fresh`` are the log probabilities of the text that is sent next.

        """
        yield from self._opening()
        output = said.output(self._response.run, status=status, logprobs=self._logprobs)
        for index, item in enumerate(output):
            yield from _told_item(index, item, fresh, goes_on=status is None and index == len(output) - 1)


def _told_item(index: int, item: JsonObject, fresh: list[JsonObject], *, goes_on: bool) -> Script:
    """Return the events of an item, with its end unless the item is in progress."""
    begun = {name: type(item[name])() for name in ("content", "summary", "arguments") if name in item}
    status = {"status": "in_progress"} if "status" in item else {}
    yield 1, {"type": "response.output_item.added", "output_index": index, "item": item | begun | status}
    about = {"item_id": item["id"], "output_index": index}
    match item["type"]:
        case "reasoning":
            yield from _told_summary(about, item["summary"][0], goes_on=goes_on)
        case "message":
            last = len(item["content"]) - 1
            for at, part in enumerate(item["content"]):
                yield from _told_part(about | {"content_index": at}, part, fresh, goes_on=goes_on and at == last)
        case _:
            yield from _told_call(about, item, goes_on=goes_on)
    if not goes_on:
        yield 1, {"type": "response.output_item.done", "output_index": index, "item": item}


def _told_summary(about: JsonObject, part: JsonObject, *, goes_on: bool) -> Script:
    about = about | {"summary_index": 0}
    name, text = "response.reasoning_summary", part["text"]
    yield 1, {"type": f"{name}_part.added", **about, "part": part | {"text": ""}}
    yield from _delta({"type": f"{name}_text.delta", **about}, text, goes_on=goes_on)
    if not goes_on:
        yield 1, {"type": f"{name}_text.done", **about, "text": text}
        yield 1, {"type": f"{name}_part.done", **about, "part": part}


def _told_part(about: JsonObject, part: JsonObject, fresh: list[JsonObject], *, goes_on: bool) -> Script:
    is_text = part["type"] == "output_text"
    name, key = ("response.output_text", "text") if is_text else ("response.refusal", "refusal")
    beside, known = ({"logprobs": fresh}, {"logprobs": part["logprobs"]}) if is_text else ({}, {})
    empty: JsonObject = {key: ""} | ({"logprobs": []} if is_text else {})
    yield 1, {"type": "response.content_part.added", **about, "part": part | empty}
    yield from _delta({"type": f"{name}.delta", **about, **beside}, part[key], goes_on=goes_on)
    if not goes_on:
        yield 1, {"type": f"{name}.done", **about, key: part[key], **known}
        yield 1, {"type": "response.content_part.done", **about, "part": part}


def _told_call(about: JsonObject, item: JsonObject, *, goes_on: bool) -> Script:
    name, arguments = "response.function_call_arguments", item["arguments"]
    yield from _delta({"type": f"{name}.delta", **about}, arguments, goes_on=goes_on)
    if not goes_on:
        yield 1, {"type": f"{name}.done", **about, "name": item["name"], "arguments": arguments}


def _delta(event: JsonObject, text: str, *, goes_on: bool) -> Script:
    """Return a text as one event; half a surrogate pair at its end waits for the other half while the text grows."""
    if goes_on and "\ud800" <= text[-1:] <= "\udbff":
        text = text[:-1]
    if text:
        yield len(text), event | {"delta": text}


def _joined(text: str, piece: str) -> str:
    """Return a text that has grown. Some servers send the halves of a surrogate pair in two pieces."""
    whole = text + piece
    if not piece or piece.isascii() or not any("\ud800" <= letter <= "\udfff" for letter in piece):
        return whole
    return whole.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")
