"""A model behind HTTP: posts a request, reads the answer as it arrives, and turns what fails into ModelError. Knows no dialect."""

from __future__ import annotations

from sympozium_agent.loop import ModelError, ModelUnreachable
from sympozium_agent.providers.chunk_parser import ChunkParser
from sympozium_agent.transport.content_encoding import DecodingError, decoder
from sympozium_agent.transport.errors import TransportError
from sympozium_api.agent_protocol import plain_url, sentence
from sympozium_api.model_refusal import MAX_REFUSAL_BYTES, ModelRefusal, parse_refusal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Generator, Iterator
    from typing import Any

    from sympozium_agent.providers.provider import Translation
    from sympozium_agent.transport import ModelTransport
    from sympozium_agent.transport.response import UnreadResponse
    from sympozium_agent.waiting import Scope
    from sympozium_api.agent_records import ModelTarget

    Chunk = dict[str, Any]


class HttpProvider:
    """One model; proxies and certificate authorities are those of the process's environment.

    A dialect's class says where and what it posts, how its key is sent, and what its events mean.
    """

    def __init__(self, model: ModelTarget, key: str | None, transport: ModelTransport) -> None:
        self._transport = transport
        self._target = model
        self._base_url = model["baseURL"]
        self._headers = {
            "content-type": "application/json",
            "accept": "text/event-stream, application/json",
            "accept-encoding": "identity",
            "user-agent": "sympozium-agent",
            **self._own_headers(key),
        }
        self._headers |= {name.lower(): value for name, value in model["headers"].items()}

    def stream(self, request: dict[str, str], scope: Scope) -> Generator[Chunk, None, None]:
        """Yield the chunks of the model's answer as they arrive. Raises ModelError, also for an answer that was cut."""
        url, body = self._call(request)
        has_response = False
        try:
            with self._transport.post(url, self._headers, body.encode(), scope) as response:
                has_response = True
                if not 200 <= response.head.status < 300:
                    raise _refused(response, url)
                yield from _chunks(response, self._translation())
        except TransportError as failure:
            if has_response:
                raise ModelError(sentence(f"the model's answer was cut: {failure}")) from failure
            raise self._unanswered(failure) from failure

    def _own_headers(self, key: str | None) -> dict[str, str]:
        """Return the dialect's headers, with the key."""
        return {"authorization": f"Bearer {key}"} if key else {}

    def _call(self, request: dict[str, str]) -> tuple[str, str]:
        """Return the URL and the body that carry a request. Raises ModelError with status 400."""
        raise NotImplementedError

    def _translation(self) -> Translation | None:
        """Return the translation of one answer; None: its chunks are OpenAI's."""
        return None

    def _unanswered(self, failure: TransportError) -> ModelError:
        if failure.reason is None:
            return ModelError(sentence(f"the model is unreachable: {failure}"))
        field = f" ({self._target['field']})" if self._target.get("field") else ""
        text = sentence(f"cannot reach the model at {plain_url(self._base_url)}: {failure}{field}")
        return ModelUnreachable(ModelRefusal(text, code=failure.reason))


def _chunks(response: UnreadResponse, translation: Translation | None) -> Iterator[Chunk]:
    parser = ChunkParser(translation)
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
        return ModelError(_redirect(status, url, headers.get("location", "")), is_transient=False)
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
