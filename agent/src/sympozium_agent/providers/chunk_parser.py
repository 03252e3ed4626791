"""Parser of a model server's answer: from bytes in arbitrary pieces to chunks, or to the error that the answer is. Pure.

Servers mislabel their answers, so the first byte decides, not the content type: ``{`` or ``[`` begins JSON, one object or one on
each line, and anything else a stream of server-sent events. A ``Translation`` makes chunks of the events of its dialect.
"""

from __future__ import annotations

import codecs
import json

from sympozium_agent.completion.finish_reason import is_failure
from sympozium_agent.loop import ModelError
from sympozium_agent.transport.sse_parser import SseParser
from sympozium_api.model_refusal import ModelRefusal, base_failure, is_refusal, refusal_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from sympozium_agent.providers.provider import Translation
    from sympozium_agent.transport.sse_parser import SseEvent

    Chunk = dict[str, Any]

_NOT_UTF8 = "The model's answer is malformed: not UTF-8."
_CUT = "The model's answer was cut: its stream ended without a finish_reason."


class ChunkParser:
    """Incremental parser of one answer. All methods raise ModelError for an answer that is malformed or is an error.

    ``translation`` is the answer's; None: the chunks are OpenAI's.
    """

    def __init__(self, translation: Translation | None = None) -> None:
        self._translation = translation or OpenAIChunks()
        self._start = b""
        self._sse: SseParser | None = None
        self._json: list[bytes] = []
        self.is_done = False
        """True once the server has marked the end; what follows is ignored."""

    def feed(self, received: bytes) -> list[Chunk]:
        """Parse more bytes."""
        if self._json:
            self._json.append(received)
            return []
        if self._sse is None:
            self._start += received
            first = self._start.removeprefix(codecs.BOM_UTF8).lstrip()[:1]
            if not first or (len(self._start) < len(codecs.BOM_UTF8) and codecs.BOM_UTF8.startswith(self._start)):
                return []
            if first in b"{[":
                self._json.append(self._start)
                return []
            received, self._sse = self._start, SseParser()
        return self._events(self._sse, received)

    def close(self, *, cut: bool = False) -> list[Chunk]:
        """Parse what is left at the end; ``cut``: the connection broke. The answer must be whole, marked or finished."""
        chunks: list[Chunk] = []
        if not cut:
            whole = b"".join(self._json)
            chunks = self._whole(whole) if whole else self._events(self._sse or SseParser(), None)
        if not self.is_done and not self._translation.is_finished:
            raise ModelError(_CUT)
        return chunks

    def _events(self, parser: SseParser, received: bytes | None) -> list[Chunk]:
        try:
            events = parser.close() if received is None else parser.feed(received)
        except UnicodeDecodeError as failure:
            raise ModelError(_NOT_UTF8) from failure
        return [chunk for event in events for chunk in self._event(event)]

    def _event(self, event: SseEvent) -> list[Chunk]:
        data = event.data.strip()
        if self.is_done or not data or data.startswith(":"):
            return []
        if data == "[DONE]":
            self.is_done = True
            return []
        if event.name == "error":
            raise reported(_parsed_or_text(data))
        chunks = self._translation.chunks(_parsed(data))
        self.is_done |= self._translation.is_done
        return chunks

    def _whole(self, body: bytes) -> list[Chunk]:
        try:
            text = body.decode("utf-8-sig")
        except UnicodeDecodeError as failure:
            raise ModelError(_NOT_UTF8) from failure
        try:
            values = [_parsed(text)]
        except ModelError:
            values = [_parsed(line) for line in text.splitlines() if line.strip()]
        chunks = [chunk for value in values for chunk in self._translation.chunks(value)]
        self.is_done |= len(values) == 1
        return chunks


class OpenAIChunks:
    """Chunks as OpenAI-compatible servers send them, checked."""

    is_done = False
    """The end's mark is ``[DONE]``, which is no event."""

    def __init__(self) -> None:
        self._begun: set[int] = set()
        self._finished: set[int] = set()

    @property
    def is_finished(self) -> bool:
        """True if there is a choice, and each one has a finish reason."""
        return bool(self._finished) and not self._begun - self._finished

    def chunks(self, value: Any) -> list[Chunk]:
        """Return the value as a chunk, checked. A list holds what Google's servers report, an error."""
        if isinstance(value, list):
            return [chunk for item in value for chunk in self.chunks(item)]
        if value is None:
            return []
        if not isinstance(value, dict):
            raise ModelError("The model's answer is malformed: not an object.")
        if value.get("error") or value.get("type") == "error" or base_failure(value):
            raise reported(value)
        choices = value.get("choices")
        if isinstance(choices, dict):
            choices = [choices]
        if choices is not None:
            self._check(choices)
            value = value | {"choices": choices}
        if not choices and _is_error(value):
            raise reported(value)
        return [value]

    def _check(self, choices: Any) -> None:
        if not isinstance(choices, list) or not all(isinstance(choice, dict) for choice in choices):
            raise ModelError("The model's answer is malformed: its choices are not objects.")
        for choice in choices:
            if choice.get("error"):
                raise reported(choice)
            if is_failure(reason := choice.get("finish_reason")):
                raise ModelError(f"The model reported an error: finish_reason '{reason}'.")
            index = choice.get("index")
            (self._finished if reason else self._begun).add(index if type(index) is int else 0)


def reported(value: Any) -> ModelError:
    """Return the error that an answer with a status of success holds."""
    refusal = refusal_of(value)
    return ModelError(
        refusal if refusal.message else ModelRefusal("The model reported an error."), refusal.status or 502
    )


def _is_error(value: Chunk) -> bool:
    """Return True for error objects without the field ``error``, as vLLM, FastAPI and gateways send them."""
    is_marked = value.get("object") == "error" or "detail" in value or bool(value.get("errors"))
    return is_marked or (not value.get("usage") and is_refusal(value))


def _parsed(data: str) -> Any:
    try:
        return json.loads(data)
    except (ValueError, RecursionError) as failure:
        raise ModelError("The model's answer is malformed: not JSON.") from failure


def _parsed_or_text(data: str) -> Any:
    try:
        return _parsed(data)
    except ModelError:
        return data
