"""The model: streamed completions of an OpenAI-compatible server, of a conversation or (older) of a prompt."""

import json
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any

from sympozium_agent.completion import as_chat, chunk_of
from sympozium_agent.loop import ModelError
from sympozium_agent.transport.direct import post_for
from sympozium_agent.transport.http1 import Broken, Response
from sympozium_agent.transport.preconnected import Spare
from sympozium_agent.transport.sse_parser import Parser
from sympozium_api import agent_protocol

_LONGEST_REFUSAL = 65536
"""Bytes of an error answer that are read."""

Chunk = dict[str, Any]


class Provider:
    """One model; proxies and certificate authorities are those of the process's environment."""

    def __init__(self, model: agent_protocol.ModelTarget, key: str | None, spare: Spare) -> None:
        self._spare = spare
        self._base_url = model["baseURL"].rstrip("/")
        self._headers = {
            "content-type": "application/json",
            "accept": "text/event-stream, application/json",
            "user-agent": "sympozium-agent",
        }
        if key:
            self._headers["authorization"] = f"Bearer {key}"
        self._headers |= {name.lower(): value for name, value in model["headers"].items()}

    async def stream(self, request: dict[str, Any]) -> AsyncGenerator[Chunk, None]:
        """The chunks of the model's answer as they come. Raises ModelError, also for an answer that was cut."""
        options = (request.get("stream_options") or {}) | {"include_usage": True}
        body = json.dumps(request | {"stream": True, "stream_options": options}).encode()
        url = f"{self._base_url}/{'chat/completions' if 'messages' in request else 'completions'}"
        answered = False
        try:
            async with post_for(url, self._spare)(url, self._headers, body) as response:
                answered = True
                if not 200 <= response.head.status < 300:
                    raise await _refusal(response)
                async for chunk in _chunks(response):
                    yield chunk
        except Broken as failure:
            what = "the model's answer was cut" if answered else "model unreachable"
            raise ModelError(f"{what}: {failure}") from failure


async def _chunks(response: Response) -> AsyncIterator[Chunk]:
    if response.head.content_type.startswith("application/json"):
        yield chunk_of(_chunk(b"".join([piece async for piece in response.pieces()])))
        return
    begun: set[Any] = set()
    finished: set[Any] = set()
    try:
        async for data in _events(response):
            if data == "[DONE]":
                return
            chunk = _chunk(data)
            for choice in chunk.get("choices") or []:
                (finished if choice.get("finish_reason") else begun).add(choice.get("index"))
            yield chunk
    except Broken:
        if not finished or begun - finished:
            raise
    if not finished or begun - finished:
        raise ModelError("the model's answer was cut: its stream ended without a finish_reason")


async def _events(response: Response) -> AsyncIterator[str]:
    parser = Parser()
    try:
        async for received in response.pieces():
            for data in parser.feed(received):
                yield data
        for data in parser.close():
            yield data
    except UnicodeDecodeError as failure:
        raise ModelError("the model's answer is malformed: not UTF-8") from failure


def _chunk(data: str | bytes) -> Chunk:
    try:
        found = json.loads(data)
    except (ValueError, RecursionError) as failure:
        raise ModelError("the model's answer is malformed: not JSON") from failure
    if not isinstance(found, dict):
        raise ModelError("the model's answer is malformed: not an object")
    if found.get("error"):
        raise _reported(found)
    choices = found.get("choices") or []
    if not isinstance(choices, list) or not all(isinstance(choice, dict) for choice in choices):
        raise ModelError("the model's answer is malformed: its choices are not objects")
    return found | {"choices": [as_chat(choice) for choice in choices]} if choices else found


async def _refusal(response: Response) -> ModelError:
    body = b""
    async for received in response.pieces():
        body += received
        if len(body) >= _LONGEST_REFUSAL:
            break
    text = body.decode(errors="replace").strip()
    answered = response.head.status
    try:
        message, code = _said(json.loads(text))
    except (ValueError, RecursionError):
        message, code = text, None
    return ModelError(message or f"the model answered {answered}", answered if answered >= 400 else 502, code)


def _reported(frame: dict[str, Any]) -> ModelError:
    """An error in the midst of a stream: some servers put an HTTP status into its ``code``."""
    message, code = _said(frame)
    status = int(code) if code and code.isdecimal() and 400 <= int(code) <= 599 else 502
    return ModelError(message or "the model reported an error", status, code)


def _said(body: Any) -> tuple[str, str | None]:
    """Message and code of an error body: OpenAI's ``error.message``, or what other servers write instead."""
    found = body.get("error", body) if isinstance(body, dict) else body
    if not isinstance(found, dict):
        return str(found), None
    message = found.get("message") or found.get("detail") or json.dumps(found)
    code = found.get("code")
    return str(message), None if code is None else str(code)
