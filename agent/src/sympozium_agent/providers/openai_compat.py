"""OpenAI-compatible model servers: streamed chat completions, or legacy completions of a prompt."""

import json
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any

from sympozium_agent.completion import as_chat, chunk_of
from sympozium_agent.loop import ModelError
from sympozium_agent.transport import ModelTransport
from sympozium_agent.transport.http1 import TransportError, UnreadResponse
from sympozium_agent.transport.sse_parser import SseParser
from sympozium_api.agent_protocol import MAX_REFUSAL_BYTES, ModelTarget, parse_refusal, refusal_of

Chunk = dict[str, Any]


class OpenAICompatible:
    """One model; proxies and certificate authorities are those of the process's environment."""

    def __init__(self, model: ModelTarget, key: str | None, transport: ModelTransport) -> None:
        self._transport = transport
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
        """Yield the chunks of the model's answer as they arrive. Raises ModelError, also for an answer that was cut."""
        options = (request.get("stream_options") or {}) | {"include_usage": True}
        body = json.dumps(request | {"stream": True, "stream_options": options}).encode()
        url = f"{self._base_url}/{'chat/completions' if 'messages' in request else 'completions'}"
        has_response = False
        try:
            async with self._transport.post(url, self._headers, body) as response:
                has_response = True
                if not 200 <= response.head.status < 300:
                    raise await _refused(response)
                async for chunk in _chunks(response):
                    yield chunk
        except TransportError as failure:
            problem = "the model's answer was cut" if has_response else "model unreachable"
            raise ModelError(f"{problem}: {failure}") from failure


async def _chunks(response: UnreadResponse) -> AsyncIterator[Chunk]:
    if response.head.content_type.startswith("application/json"):
        yield chunk_of(_chunk(b"".join([part async for part in response.body_chunks()])))
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
    except TransportError:
        if not finished or begun - finished:
            raise
    if not finished or begun - finished:
        raise ModelError("the model's answer was cut: its stream ended without a finish_reason")


async def _events(response: UnreadResponse) -> AsyncIterator[str]:
    parser = SseParser()
    try:
        async for received in response.body_chunks():
            for data in parser.feed(received):
                yield data
        for data in parser.close():
            yield data
    except UnicodeDecodeError as failure:
        raise ModelError("the model's answer is malformed: not UTF-8") from failure


def _chunk(data: str | bytes) -> Chunk:
    try:
        chunk = json.loads(data)
    except (ValueError, RecursionError) as failure:
        raise ModelError("the model's answer is malformed: not JSON") from failure
    if not isinstance(chunk, dict):
        raise ModelError("the model's answer is malformed: not an object")
    if chunk.get("error"):
        raise _reported(chunk)
    choices = chunk.get("choices") or []
    if not isinstance(choices, list) or not all(isinstance(choice, dict) for choice in choices):
        raise ModelError("the model's answer is malformed: its choices are not objects")
    return chunk | {"choices": [as_chat(choice) for choice in choices]} if choices else chunk


async def _refused(response: UnreadResponse) -> ModelError:
    body = b""
    async for received in response.body_chunks():
        body += received
        if len(body) >= MAX_REFUSAL_BYTES:
            break
    status = response.head.status
    message, code = parse_refusal(body)
    return ModelError(message or f"the model answered {status}", status if status >= 400 else 502, code)


def _reported(chunk: Chunk) -> ModelError:
    """Return the error in the middle of a stream. Some servers put an HTTP status into its ``code``."""
    message, code = refusal_of(chunk)
    status = int(code) if code and code.isdecimal() and 400 <= int(code) <= 599 else 502
    return ModelError(message or "the model reported an error", status, code)
