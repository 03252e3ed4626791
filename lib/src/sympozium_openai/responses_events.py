"""Typed events of a response's stream, made from an agent's records.

``sequence_number`` counts one for each event, and for a piece of text one for each of its characters. So it says how
much of the answer a caller has, however the model cut the text into pieces, and any replica can continue a stream after
any number: a replica that has only the end of the answer sends the same events with the same numbers.

"""

import itertools
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from sympozium_api.agent_records import Delta, End
from sympozium_openai import responses_object as answers
from sympozium_openai.bodies import JsonObject
from sympozium_openai.responses_object import AssistantMessage, ResponseObject

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
        self._sent = after
        self._message = _NOTHING
        self._calls: dict[int, JsonObject] = {}
        self._logprobs: list[JsonObject] = []
        queued = response.params.get("background")
        self._created = {"type": "response.created", "response": response.ongoing("queued" if queued else _WORKS)}
        self._in_progress = {"type": "response.in_progress", "response": response.ongoing(_WORKS)}

    def begin(self) -> list[JsonObject]:
        """Return the event that opens the stream."""
        return self._unsent([(1, self._created)])

    def started(self) -> list[JsonObject]:
        """Return the events that say that the run's agent works."""
        return self._unsent(self._opening())

    def delta(self, record: Delta) -> list[JsonObject]:
        """Return the events of one piece of the model's stream."""
        events = []
        for choice in record["choices"]:
            if not choice.get("index"):
                self._add(choice.get("delta") or {})
                self._logprobs += answers.logprobs(choice)
                events += self._unsent(self._script(self._message, answers.logprobs(choice)))
        return events

    def end(self, record: End, completed: int) -> list[JsonObject]:
        """Return the events still to send once the run has ended at ``completed``."""
        response = self._response.ended(record, completed)
        if record["type"] == "error":
            # No part stores how much of the answer was sent, so the stream continues from the caller's number.
            failed = {"type": "response.failed", "response": response}
            return [*self.started(), failed | {"sequence_number": max(self._sent, _BEGIN) + 1}]
        choice = answers.first_choice(record)
        fresh = [] if self._message.text else answers.logprobs(choice)
        self._logprobs = answers.logprobs(choice)
        message = answers.assistant_message(choice.get("message"), self._response.run)
        terminal = {"type": f"response.{response['status']}", "response": response}
        return self._unsent(itertools.chain(self._script(message, fresh, status=response["status"]), [(1, terminal)]))

    def _add(self, delta: JsonObject) -> None:
        """Add a piece. A piece of a part that a later part has closed is sent with the whole response."""
        calls, message = delta.get("tool_calls"), self._message
        for call in calls if isinstance(calls, list) else []:
            if isinstance(call, dict):
                self._hear_call(call)
        piece = answers.assistant_message({**delta, "tool_calls": None}, self._response.run)
        refusal = message.refusal if message.calls else _joined(message.refusal, piece.refusal)
        text = message.text if message.calls or message.refusal else _joined(message.text, piece.text)
        begun = message.calls or message.refusal or message.text
        reasoning = message.reasoning if begun else _joined(message.reasoning, piece.reasoning)
        named = [self._calls[index] for index in sorted(self._calls) if self._calls[index]["function"]["name"]]
        grown = answers.assistant_message({"tool_calls": named}, self._response.run)
        self._message = replace(grown, reasoning=reasoning, text=text, refusal=refusal)

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

    def _unsent(self, script: Script) -> list[JsonObject]:
        """Return the events that the caller does not have; of a piece that it has in part, the rest."""
        events, number = [], -1
        for weight, event in script:
            before, number = number, number + weight
            if number > self._sent:
                cut = {"delta": event["delta"][self._sent - before :]} if before < self._sent else {}
                events.append(event | cut | {"sequence_number": number})
        self._sent = max(self._sent, number)
        return events

    def _opening(self) -> Script:
        yield 1, self._created
        yield 1, self._in_progress

    def _script(self, message: AssistantMessage, fresh: list[JsonObject], *, status: str | None = None) -> Script:
        """Return all events so far; with the ``status`` of the whole, all events up to the answer's end.

        ``fresh`` are the log probabilities of the text that is sent next.

        """
        yield from self._opening()
        output = message.output(self._response.run, status=status, logprobs=self._logprobs)
        for index, item in enumerate(output):
            yield from _item_events(index, item, fresh, in_progress=status is None and index == len(output) - 1)


def _item_events(index: int, item: JsonObject, fresh: list[JsonObject], *, in_progress: bool) -> Script:
    """Return the events of an item, with its end unless the item is in progress."""
    begun = {name: type(item[name])() for name in ("content", "summary", "arguments") if name in item}
    status = {"status": "in_progress"} if "status" in item else {}
    yield 1, {"type": "response.output_item.added", "output_index": index, "item": item | begun | status}
    ids = {"item_id": item["id"], "output_index": index}
    match item["type"]:
        case "reasoning":
            yield from _summary_events(ids, item["summary"][0], in_progress=in_progress)
        case "message":
            last = len(item["content"]) - 1
            for at, part in enumerate(item["content"]):
                yield from _part_events(
                    ids | {"content_index": at}, part, fresh, in_progress=in_progress and at == last
                )
        case _:
            yield from _call_events(ids, item, in_progress=in_progress)
    if not in_progress:
        yield 1, {"type": "response.output_item.done", "output_index": index, "item": item}


def _summary_events(ids: JsonObject, part: JsonObject, *, in_progress: bool) -> Script:
    ids = ids | {"summary_index": 0}
    name, text = "response.reasoning_summary", part["text"]
    yield 1, {"type": f"{name}_part.added", **ids, "part": part | {"text": ""}}
    yield from _delta({"type": f"{name}_text.delta", **ids}, text, in_progress=in_progress)
    if not in_progress:
        yield 1, {"type": f"{name}_text.done", **ids, "text": text}
        yield 1, {"type": f"{name}_part.done", **ids, "part": part}


def _part_events(ids: JsonObject, part: JsonObject, fresh: list[JsonObject], *, in_progress: bool) -> Script:
    is_text = part["type"] == "output_text"
    name, key = ("response.output_text", "text") if is_text else ("response.refusal", "refusal")
    beside, known = ({"logprobs": fresh}, {"logprobs": part["logprobs"]}) if is_text else ({}, {})
    empty: JsonObject = {key: ""} | ({"logprobs": []} if is_text else {})
    yield 1, {"type": "response.content_part.added", **ids, "part": part | empty}
    yield from _delta({"type": f"{name}.delta", **ids, **beside}, part[key], in_progress=in_progress)
    if not in_progress:
        yield 1, {"type": f"{name}.done", **ids, key: part[key], **known}
        yield 1, {"type": "response.content_part.done", **ids, "part": part}


def _call_events(ids: JsonObject, item: JsonObject, *, in_progress: bool) -> Script:
    name, arguments = "response.function_call_arguments", item["arguments"]
    yield from _delta({"type": f"{name}.delta", **ids}, arguments, in_progress=in_progress)
    if not in_progress:
        yield 1, {"type": f"{name}.done", **ids, "name": item["name"], "arguments": arguments}


def _delta(event: JsonObject, text: str, *, in_progress: bool) -> Script:
    """Return a text as one event; half a surrogate pair at its end waits for the other half while the text grows."""
    if in_progress and "\ud800" <= text[-1:] <= "\udbff":
        text = text[:-1]
    if text:
        yield len(text), event | {"delta": text}


def _joined(text: str, piece: str) -> str:
    """Return a text that has grown. Some servers send the halves of a surrogate pair in two pieces."""
    joined = text + piece
    if not piece or piece.isascii() or not any("\ud800" <= letter <= "\udfff" for letter in piece):
        return joined
    return joined.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")
