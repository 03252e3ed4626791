"""Deltas of one message in the form in which OpenAI sends them: what a caller is to be sent of each, at once or at the end. Pure."""

from __future__ import annotations

from sympozium_agent.completion.content import REASONING, content_of, text_of
from sympozium_agent.completion.joining import CONSTANT, joined
from sympozium_agent.completion.tool_calls import ToolCalls

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    Object = dict[str, Any]

_OWN_RULES = frozenset({"content", "refusal", "tool_calls", "function_call", *REASONING})


class MessageDeltas:
    """Normaliser of one message's deltas. ``legacy_functions``: the caller expects ``function_call`` instead of tool calls.

    Texts are forwarded as they come. Objects, lists and numbers of unknown names are held until the end and sent once,
    because SDKs add numbers up, and refuse lists that grow without an ``index``.
    """

    def __init__(self, make_id: Callable[[int], str], *, legacy_functions: bool) -> None:
        self.tool_calls = ToolCalls(make_id)
        self.has_function_call = False
        self._legacy_functions = legacy_functions
        self._sent: set[str] = set()
        self._reasoning: tuple[str, ...] = ()
        self._held: dict[str, list[Any]] = {}

    def add(self, delta: Object) -> Object:
        """Add a delta; return what the caller is to be sent now, empty if nothing is."""
        content = content_of(delta.get("content"))
        fresh = self._others(delta)
        fresh |= self._text("content", content.text)
        fresh |= self._add_reasoning(delta, content.reasoning)
        refusal = content.refusal or (text_of(delta["refusal"]) if delta.get("refusal") is not None else None)
        fresh |= self._text("refusal", refusal)
        if content.others:
            self._hold("content_parts", content.others)
        calls = self.tool_calls.add(delta.get("tool_calls"))
        if isinstance(function := delta.get("function_call"), dict):
            if self._legacy_functions:
                fresh |= self._function_call(function)
            else:
                calls += self.tool_calls.add({"function": function})
        return fresh | ({"tool_calls": calls} if calls else {})

    def close(self) -> Object:
        """Return what the caller is still to be sent at the message's end."""
        held = {key: joined(values) for key, values in self._held.items()}
        calls = self.tool_calls.close()
        return held | ({"tool_calls": calls} if calls else {})

    def _others(self, delta: Object) -> Object:
        fresh: Object = {}
        for key, value in delta.items():
            if key in _OWN_RULES or value is None:
                continue
            if key == "role":
                fresh |= self._text(key, "assistant" if "role" not in self._sent else None)
            elif isinstance(value, str) and key not in self._held:
                fresh |= self._text(key, value if key not in CONSTANT or key not in self._sent else None)
            else:
                self._hold(key, value)
        return fresh

    def _add_reasoning(self, delta: Object, from_content: str) -> Object:
        """Return the reasoning under the names in which it first came, so that its pieces stay together."""
        texts = {name: text_of(delta[name]) for name in REASONING if delta.get(name) is not None}
        if from_content and not any(texts.values()):
            texts = {"reasoning_content": from_content}
        full = {name: text for name, text in texts.items() if text}
        if not full:
            return {key: value for name in texts for key, value in self._text(name, "").items()}
        self._reasoning = self._reasoning or tuple(full)
        text = next((full[name] for name in self._reasoning if name in full), next(iter(full.values())))
        self._sent.update(self._reasoning)
        return dict.fromkeys(self._reasoning, text)

    def _function_call(self, piece: Object) -> Object:
        self.has_function_call = True
        given = piece.get("arguments")
        [whole] = ToolCalls(str).add([{"id": "-", "function": {"name": "-", "arguments": given}}])
        fresh = {"arguments": whole["function"]["arguments"]} if given is not None else {}
        if (name := piece.get("name")) and "function_call" not in self._sent:
            self._sent.add("function_call")
            fresh["name"] = name
        return {"function_call": fresh} if fresh else {}

    def _text(self, key: str, text: str | None) -> Object:
        """Return a text to send; an empty one only as a field's first, because it says that the field is there."""
        if text is None or (not text and key in self._sent):
            return {}
        self._sent.add(key)
        return {key: text}

    def _hold(self, key: str, value: Any) -> None:
        self._held.setdefault(key, []).append(value)
