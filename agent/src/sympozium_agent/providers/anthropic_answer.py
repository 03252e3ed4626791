"""Events of Anthropic's Messages API as OpenAI-shaped chunks. Pure. Rules: Anthropic's API reference, "Streaming messages"."""

from __future__ import annotations

import json

from sympozium_agent.loop import ModelError
from sympozium_agent.providers.anthropic_request import REASONING_FORMAT
from sympozium_agent.providers.chunk_parser import reported

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    Object = dict[str, Any]

_REASONS = {"max_tokens": "length", "model_context_window_exceeded": "length", "refusal": "content_filter"}
"""Stop reasons that cut an answer, as OpenAI's; all others end it."""


class AnthropicAnswer:
    """Translation of one answer: a stream's events, or a whole message."""

    def __init__(self) -> None:
        self.is_done = False
        self.is_finished = False
        """True once there is a stop reason."""
        self._usage: Object = {}
        self._calls: dict[Any, int] = {}
        """Index of each tool call, by the index of its block."""
        self._has_input: set[Any] = set()
        self._thoughts: dict[Any, Object] = {}
        """Thinking that waits for its signature, by the index of its block."""
        self._thought_count = 0

    def chunks(self, value: Any) -> list[Object]:  # noqa: PLR0911 - a branch for each kind of event
        """Return the chunks that an event makes. Raises ModelError."""
        if not isinstance(value, dict):
            raise ModelError("The model's answer is malformed: not an object.")
        match value:
            case {"type": "error"} | {"error": dict()}:
                raise reported(value)
            case {"type": "message"}:
                return self._whole(value)
            case {"type": "message_start", "message": dict(message)}:
                self._count(message.get("usage"))
                return [_delta({"role": "assistant"})]
            case {"type": "content_block_start", "content_block": dict(block)}:
                return self._begin(value.get("index"), block)
            case {"type": "content_block_delta", "delta": dict(delta)}:
                return self._continue(value.get("index"), delta)
            case {"type": "content_block_stop"}:
                return self._end_block(value.get("index"))
            case {"type": "message_delta"}:
                self._count(value.get("usage"))
                return self._stop(value.get("delta") or {})
            case {"type": "message_stop"}:
                self.is_done = True
        return []

    def _whole(self, message: Object) -> list[Object]:
        chunks = [_delta({"role": "assistant"})]
        for index, block in enumerate(message.get("content") or []):
            chunks += [*self._begin(index, block), *self._end_block(index)]
        self._count(message.get("usage"))
        self.is_done = True
        return chunks + self._stop(message)

    def _begin(self, index: Any, block: Object) -> list[Object]:
        match block:
            case {"type": "text"}:
                return _text("content", block.get("text"))
            case {"type": "thinking"}:
                self._thoughts[index] = {
                    "type": "reasoning.text",
                    "text": block.get("thinking") or "",
                    "signature": block.get("signature") or "",
                }
                return _text("reasoning_content", block.get("thinking"))
            case {"type": "redacted_thinking", "data": str(data)}:
                self._thoughts[index] = {"type": "reasoning.encrypted", "data": data}
            case {"type": "tool_use"}:
                number = self._calls.setdefault(index, len(self._calls))
                given = block.get("input")
                arguments = json.dumps(given, ensure_ascii=False) if given else ""
                if arguments:
                    self._has_input.add(index)
                function = {"name": block.get("name"), "arguments": arguments}
                head = {"index": number, "id": block.get("id"), "type": "function", "function": function}
                return [_delta({"tool_calls": [head]})]
        return []

    def _continue(self, index: Any, delta: Object) -> list[Object]:
        match delta:
            case {"type": "text_delta"}:
                return _text("content", delta.get("text"))
            case {"type": "input_json_delta", "partial_json": str(piece)} if piece and index in self._calls:
                self._has_input.add(index)
                return [_delta({"tool_calls": [{"index": self._calls[index], "function": {"arguments": piece}}]})]
            case {"type": "thinking_delta", "thinking": str(text)}:
                self._extend(index, "text", text)
                return _text("reasoning_content", text)
            case {"type": "signature_delta", "signature": str(text)}:
                self._extend(index, "signature", text)
            case {"type": "citations_delta", "citation": dict(citation)}:
                return [_delta({"citations": [citation]})]
        return []

    def _extend(self, index: Any, name: str, text: str) -> None:
        if (thought := self._thoughts.get(index)) is not None:
            thought[name] = thought.get(name, "") + text

    def _end_block(self, index: Any) -> list[Object]:
        if index in self._calls and index not in self._has_input:
            self._has_input.add(index)
            return [_delta({"tool_calls": [{"index": self._calls[index], "function": {"arguments": "{}"}}]})]
        thought = self._thoughts.pop(index, None)
        if not thought or not (thought.get("signature") or thought.get("data")):
            return []
        detail = thought | {"format": REASONING_FORMAT, "index": self._thought_count}
        self._thought_count += 1
        return [_delta({"reasoning_details": [detail]})]

    def _stop(self, delta: Object) -> list[Object]:
        chunks: list[Object] = [{"choices": [], "usage": _counts(self._usage)}] if self._usage else []
        if isinstance(reason := delta.get("stop_reason"), str) and reason:
            self.is_finished = True
            chunks.insert(0, {"choices": [{"index": 0, "delta": {}, "finish_reason": _REASONS.get(reason, "stop")}]})
        return chunks

    def _count(self, usage: Any) -> None:
        """Add a count: the latest number of each kind, because those of ``message_delta`` are cumulative."""
        if isinstance(usage, dict):
            self._usage |= {name: value for name, value in usage.items() if value is not None}


def _delta(delta: Object) -> Object:
    return {"choices": [{"index": 0, "delta": delta}]}


def _text(name: str, text: Any) -> list[Object]:
    return [_delta({name: text})] if isinstance(text, str) and text else []


def _counts(usage: Object) -> Object:
    """Return Anthropic's counts as OpenAI's, whose prompt includes what was read from and written to the cache."""
    read, written = _number(usage, "cache_read_input_tokens"), _number(usage, "cache_creation_input_tokens")
    prompt, completion = _number(usage, "input_tokens") + read + written, _number(usage, "output_tokens")
    counts: Object = {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}
    if "cache_read_input_tokens" in usage or "cache_creation_input_tokens" in usage:
        counts["prompt_tokens_details"] = {"cached_tokens": read, "cache_creation_tokens": written}
    details = usage.get("output_tokens_details")
    if isinstance(details, dict) and "thinking_tokens" in details:
        counts["completion_tokens_details"] = {"reasoning_tokens": _number(details, "thinking_tokens")}
    return counts


def _number(usage: Object, name: str) -> int:
    value = usage.get(name)
    return value if type(value) is int else 0
