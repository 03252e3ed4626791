"""Beginning of a session's turn: the conversation so far, as the run of the turn before holds it, within a bound. Pure."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sympozium_api import run_contents, session_annotations, terminal_status
from sympozium_api.json_members import DECODER, compact, join_members, member_texts
from sympozium_api.json_text import TextError
from sympozium_api.run import AgentRun
from sympozium_openai.responses_object import assistant_message, first_choice

Message = dict[str, Any]

_BYTES_PER_TOKEN = 4
"""Bytes of UTF-8 that a token has about: English text has 4, Chinese text 3 or more."""
_MESSAGE_TOKENS = 4
"""Tokens that a message takes beside its content."""
_MOST_TOKENS_OF_MEDIA = 1000
"""Tokens of an image or another part that is no text, however long its data are."""
_BEGINS_A_TURN = frozenset({"user", "system", "developer"})
_INSTRUCTS = frozenset({"system", "developer"})


@dataclass(frozen=True)
class History:
    """The messages of earlier turns, with which the request of the next turn begins."""

    messages: Sequence[Message] = ()
    left_out: int = 0
    """Number of messages of the session that are not among them, because of the bound or because they could not be read."""


def history_after(run: AgentRun) -> History:
    """Return the history after a turn that has ended.

    A turn without an answer, because it failed or was cancelled, leaves the history as it was before. Messages that cannot be
    read, because parts of them are gone, are left out.
    """
    annotations = run.metadata.annotations
    before, left_out = session_annotations.history_length(annotations), session_annotations.left_out(annotations)
    try:
        messages = messages_of(run)
    except TextError:
        return History((), left_out + before + (2 if run.status.phase == "Succeeded" else 0))
    if run.status.phase != "Succeeded":
        return History(messages[:before], left_out)
    end = terminal_status.record_of(run.status)
    if end["type"] == "error":
        return History(messages[:before], left_out + len(messages) - before + 1)
    answer = assistant_message(first_choice(end).get("message"), run.metadata.name)
    return History((*messages, answer.message()), left_out)


def answered(messages: Any, answer: Any, run: str) -> History:
    """Return the history after an archived turn: its messages and the model's answer. What cannot be read is no history."""
    if not (isinstance(messages, list) and all(_is_message(message) for message in messages)):
        return History()
    return History((*messages, assistant_message(answer, run).message()))


def bounded(history: History, most_tokens: int) -> History:
    """Return a history of at most ``most_tokens``, as they are estimated: the oldest turns are left out, each as a whole.

    The instructions that the conversation begins with stay, if they leave room for anything else.
    """
    messages = list(history.messages)
    sizes = [estimated_tokens(message) for message in messages]
    if sum(sizes) <= most_tokens:
        return history
    first = next((at for at, message in enumerate(messages) if message["role"] not in _INSTRUCTS), len(messages))
    room = most_tokens - sum(sizes[:first])
    starts = [at for at in range(first, len(messages)) if _begins_turn(messages, at, first)]
    start = next((at for at in starts if sum(sizes[at:]) <= room), None) if room > 0 else None
    kept = messages[:first] + messages[start:] if start is not None else messages[:first] if room > 0 else []
    return History(kept, history.left_out + len(messages) - len(kept))


def estimated_tokens(message: Message) -> int:
    """Return about how many tokens a message has. Models count differently, and most count fewer."""
    content = message.get("content")
    parts = content if isinstance(content, list) else [content]
    others = {name: value for name, value in message.items() if name not in ("role", "content")}
    size = sum(map(_part_tokens, parts)) + (_text_tokens(compact(others)) if others else 0)
    return _MESSAGE_TOKENS + size


def continued(history: History, body: Message, text: str | None) -> tuple[Message, str | None]:
    """Return a chat completion's body, and its text where it has one, with the history before its own messages."""
    if not history.messages:
        return body, text
    before = list(history.messages)
    whole = {**body, "messages": [*before, *body["messages"]]}
    if text is None:
        return whole, None
    members = member_texts(text)
    members["messages"] = f"{compact(before)[:-1]},{members['messages'][1:]}"
    return whole, join_members(members)


def _begins_turn(messages: Sequence[Message], at: int, first: int) -> bool:
    """Return whether the conversation can begin here: not between a call and its result, nor between a question and its answer."""
    if messages[at]["role"] not in _BEGINS_A_TURN:
        return False
    return at == first or (messages[at - 1]["role"] == "assistant" and not messages[at - 1].get("tool_calls"))


def messages_of(run: AgentRun) -> list[Message]:
    """Return the messages of a run's request. Raises TextError."""
    text = run_contents.request_members(run).get("messages", "")
    try:
        messages = DECODER.decode(text)
    except (ValueError, RecursionError):
        raise TextError("the request has no messages") from None
    if not (isinstance(messages, list) and all(_is_message(message) for message in messages)):
        raise TextError("the request's messages are no messages")
    return messages


def _is_message(value: Any) -> bool:
    return isinstance(value, dict) and isinstance(value.get("role"), str)


def _part_tokens(part: Any) -> int:
    if isinstance(part, str):
        return _text_tokens(part)
    if isinstance(part, dict) and isinstance(part.get("text"), str):
        return _text_tokens(part["text"])
    return 0 if part is None else min(_MOST_TOKENS_OF_MEDIA, _text_tokens(compact(part)))


def _text_tokens(text: str) -> int:
    return math.ceil(len(text.encode(errors="replace")) / _BYTES_PER_TOKEN)
