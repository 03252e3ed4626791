"""OpenAI-compatible model servers: streamed chat completions, or legacy completions of a prompt."""

from __future__ import annotations

import json

from sympozium_agent.loop import ModelError, ModelUnreachable
from sympozium_agent.providers.chunk_parser import ChunkParser
from sympozium_agent.transport.content_encoding import DecodingError, decoder
from sympozium_agent.transport.errors import TransportError
from sympozium_api.agent_protocol import leaf_url, plain_url, sentence
from sympozium_api.json_members import compact, join_members
from sympozium_api.model_refusal import MAX_REFUSAL_BYTES, ModelRefusal, parse_refusal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Generator, Iterator
    from typing import Any

    from sympozium_agent.transport import ModelTransport
    from sympozium_agent.transport.response import UnreadResponse
    from sympozium_agent.waiting import Scope
    from sympozium_api.agent_records import ModelTarget

    Chunk = dict[str, Any]


class OpenAICompatible:
    """One model; proxies and certificate authorities are those of the process's environment."""

    def __init__(self, model: ModelTarget, key: str | None, transport: ModelTransport) -> None:
        self._transport = transport
        self._base_url, self._field = model["baseURL"], model.get("field")
        self._headers = {
            "content-type": "application/json",
            "accept": "text/event-stream, application/json",
            "accept-encoding": "identity",
            "user-agent": "sympozium-agent",
        }
        if key:
            self._headers["authorization"] = f"Bearer {key}"
        self._headers |= {name.lower(): value for name, value in model["headers"].items()}

    def stream(self, request: dict[str, str], scope: Scope) -> Generator[Chunk, None, None]:
        """Yield the chunks of the model's answer as they arrive. Raises ModelError, also for an answer that was cut."""
        options = (json.loads(request.get("stream_options", "null")) or {}) | {"include_usage": True}
        body = join_members(request | {"stream": "true", "stream_options": compact(options)}).encode()
        url = leaf_url(self._base_url, "chat/completions" if "messages" in request else "completions")
        has_response = False
        try:
            with self._transport.post(url, self._headers, body, scope) as response:
                has_response = True
                if not 200 <= response.head.status < 300:
                    raise _refused(response, url)
                yield from _chunks(response)
        except TransportError as failure:
            if has_response:
                raise ModelError(sentence(f"the model's answer was cut: {failure}")) from failure
            raise self._unanswered(failure) from failure

    def _unanswered(self, failure: TransportError) -> ModelError:
        if failure.reason is None:
            return ModelError(sentence(f"the model is unreachable: {failure}"))
        field = f" ({self._field})" if self._field else ""
        text = sentence(f"cannot reach the model at {plain_url(self._base_url)}: {failure}{field}")
        return ModelUnreachable(ModelRefusal(text, code=failure.reason))


def _chunks(response: UnreadResponse) -> Iterator[Chunk]:
    parser = ChunkParser()
    try:
        for received in _content(response):
            yield from parser.feed(received)
            if parser.is_done:
                return
    except TransportError as failure:
        try:
            parser.close(cut=True)
        except ModelError:
            raise failure from None
        return
    yield from parser.close()


def _content(response: UnreadResponse) -> Iterator[bytes]:
    """Yield the body, decoded. Raises TransportError and ModelError."""
    try:
        decoding = decoder(response.head.headers.get("content-encoding", ""))
        for received in response.body_chunks():
            yield from decoding.decode(received)
    except DecodingError as failure:
        raise ModelError(sentence(f"the model's answer is malformed: {failure}")) from failure
    try:
        decoding.close()
    except DecodingError as failure:
        raise TransportError(str(failure)) from failure  # as a connection that breaks: what has ended before is whole


def _refused(response: UnreadResponse, url: str) -> ModelError:
    status, headers = response.head.status, response.head.headers
    if 300 <= status < 400:
        return ModelError(_redirect(status, url, headers.get("location", "")))
    body = b""
    for received in _content(response):
        body += received
        if len(body) >= MAX_REFUSAL_BYTES:
            break
    refusal = parse_refusal(body[:MAX_REFUSAL_BYTES], headers.get("retry-after"))
    if not refusal.message:
        refusal = ModelRefusal(f"The model answered {status}.", retry_after=refusal.retry_after)
    return ModelError(refusal, status if status >= 400 else 502)


def _redirect(status: int, url: str, location: str) -> str:
    """Return why a redirect is refused: the key and the request would go to a host that the instance does not name."""
    from urllib.parse import urljoin, urlsplit  # noqa: PLC0415 - an import is latency, and redirects are rare

    try:
        target = urlsplit(urljoin(url, location))
    except ValueError:  # no address
        location = ""
    address = f" to {target.scheme}://{target.netloc.rpartition('@')[2]}{target.path}" if location else ""
    return f"The model server redirects{address} ({status}); redirects are not followed, baseURL must name the final address."
