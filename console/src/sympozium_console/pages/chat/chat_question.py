"""A question as the form of the chat sends it, and the body of ``POST /api/v1/runs`` that it stands for. Pure."""

import json
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sympozium_api.instance import SympoziumInstance

_TEMPERATURE = re.compile(r"\d(?:\.\d{1,4})?")
_HOTTEST = 2.0
_COUNT = re.compile(r"[1-9]\d{0,8}")
_SESSION = re.compile(r"[!-~]{1,253}")


@dataclass(frozen=True)
class ChatQuestion:
    """The fields of the form, as they were typed."""

    question: str = ""
    session: str = ""
    """Key of the session, which is the conversation."""
    attempt: str = ""
    """Idempotency-Key: a form that is sent twice asks once."""
    model: str = ""
    temperature: str = ""
    max_tokens: str = ""
    json: bool = False
    instructions: str = ""
    faults: Mapping[str, str] = field(default_factory=dict)
    """Sentences about fields whose value is wrong, by the field's name."""

    @property
    def has_options(self) -> bool:
        """True if a field besides the question has a value."""
        return bool(self.model or self.temperature or self.max_tokens or self.json or self.instructions)

    def body(self, instance: SympoziumInstance) -> dict[str, Any]:
        """Return the body of the request, as short as it can be."""
        body: dict[str, Any] = {"agentRef": instance.metadata.name}
        if self.has_options:
            body["request"] = self._request()
        else:
            body["task"] = self.question
        return body | {"sessionKey": self.session}

    def _request(self) -> dict[str, Any]:
        request: dict[str, Any] = {"model": self.model} if self.model else {}
        system = [{"role": "system", "content": self.instructions}] if self.instructions else []
        request["messages"] = [*system, {"role": "user", "content": self.question}]
        if self.temperature:
            request["temperature"] = float(self.temperature)
        if self.max_tokens:
            request["max_tokens"] = int(self.max_tokens)
        if self.json:
            request["response_format"] = {"type": "json_object"}
        return request


def parse(fields: Mapping[str, str]) -> ChatQuestion:
    """Return the question of a form, with what is wrong about it."""
    return ChatQuestion(
        question=fields.get("question", ""),
        session=fields.get("session", ""),
        attempt=fields.get("attempt", "")[:255],
        model=fields.get("model", "").strip(),
        temperature=fields.get("temperature", "").strip(),
        max_tokens=fields.get("max_tokens", "").strip(),
        json=fields.get("json") == "on",
        instructions=fields.get("instructions", "").strip(),
        faults=_faults(fields),
    )


def _faults(fields: Mapping[str, str]) -> dict[str, str]:
    faults = {}
    if not fields.get("question", "").strip():
        faults["question"] = "Write a question."
    if not _SESSION.fullmatch(fields.get("session", "")):
        faults["session"] = "The conversation has no key: open the chat again."
    temperature, tokens = fields.get("temperature", "").strip(), fields.get("max_tokens", "").strip()
    if temperature and not (_TEMPERATURE.fullmatch(temperature) and float(temperature) <= _HOTTEST):
        faults["temperature"] = "Give a number from 0 to 2, such as 0.7."
    if tokens and not _COUNT.fullmatch(tokens):
        faults["max_tokens"] = "Give a whole number from 1 on."
    return faults


def new_key() -> str:
    """Return a key for a conversation or an attempt."""
    return secrets.token_hex(16)


def encoded(body: Mapping[str, Any]) -> bytes:
    """Return a body as it is sent."""
    return json.dumps(body, ensure_ascii=False).encode(errors="replace")
