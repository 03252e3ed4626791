"""YAML instead of JSON, in requests by Content-Type and in answers by Accept, for every route: an ASGI layer that translates both."""

import asyncio
import json
from collections.abc import Callable
from typing import TypeVar

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sympozium_api.resources import Object
from sympozium_console import yaml_documents
from sympozium_console.yaml_documents import InvalidYaml
from sympozium_http.refusal import Refusal

YAML = "application/yaml"
_JSON = "application/json"
_OF_ROUTES = "/api/"
_SMALL = 4096
"""Bytes up to which a text is translated at once: a thread takes longer."""

Result = TypeVar("Result")


def described_in_yaml(describe: Callable[[], Object]) -> Object:
    """Return the OpenAPI description that ``describe`` returns, with YAML beside each answer in JSON that is no refusal."""
    document = describe()
    routes = [methods for path, methods in document["paths"].items() if path.startswith(_OF_ROUTES)]
    operations = [operation for methods in routes for operation in methods.values()]
    for operation in operations:
        for status, answer in operation["responses"].items():
            if status.startswith("2") and _JSON in answer.get("content", {}):
                answer["content"][YAML] = answer["content"][_JSON]
    return document


class YamlBodies:
    """Layer that translates YAML. A body is read when the route reads it: after the caller is known, and at most ``limit`` bytes."""

    def __init__(self, app: ASGIApp, limit: int) -> None:
        self._app = app
        self._limit = limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http" or not scope["path"].startswith(_OF_ROUTES):
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        if _media_type(headers.get("content-type", "")) == YAML:
            scope["headers"] = _as_json(
                scope["headers"]
            )  # no copy: the layers outside read what the router adds to the scope
            receive = _TranslatedBody(receive, self._limit).receive
        if _prefers_yaml(headers.get("accept", "")):
            send = _TranslatedAnswer(send).send
        await self._app(scope, receive, send)


class _TranslatedBody:
    """A request's body, read as YAML and given on as JSON."""

    def __init__(self, receive: Receive, limit: int) -> None:
        self._receive = receive
        self._limit = limit
        self._is_read = False

    async def receive(self) -> Message:
        """Return the body as one message, and afterwards what else arrives. Raises Refusal 400 and 413."""
        if self._is_read:
            return await self._receive()
        content, more = bytearray(), True
        while more:
            message = await self._receive()
            if message["type"] != "http.request":
                return message
            content += message.get("body", b"")
            more = message.get("more_body", False)
            if len(content) > self._limit:
                raise Refusal(413, "RequestEntityTooLarge", f"The body is larger than {self._limit} bytes.")
        self._is_read = True
        return {"type": "http.request", "body": await _translated(_json_of, bytes(content)), "more_body": False}


class _TranslatedAnswer:
    """An answer in JSON, sent as YAML unless it is a refusal."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._start: Message | None = None
        self._content = bytearray()

    async def send(self, message: Message) -> None:
        """Send a message, or keep it until the answer is whole."""
        if message["type"] == "http.response.start" and _is_translated(message):
            self._start = message
        elif self._start is None or message["type"] != "http.response.body":
            await self._send(message)
        else:
            self._content += message.get("body", b"")
            if not message.get("more_body", False):
                await self._finish(self._start, bytes(self._content))

    async def _finish(self, start: Message, content: bytes) -> None:
        body = await _translated(_yaml_of, content) if content else b""
        headers = MutableHeaders(scope=start)
        headers["content-type"] = YAML
        headers["content-length"] = str(len(body))
        headers.add_vary_header("Accept")
        await self._send(start)
        await self._send({"type": "http.response.body", "body": body, "more_body": False})


async def _translated(translate: Callable[[bytes], bytes], content: bytes) -> bytes:
    return translate(content) if len(content) <= _SMALL else await asyncio.to_thread(translate, content)


def _json_of(content: bytes) -> bytes:
    try:
        return json.dumps(yaml_documents.load(content), ensure_ascii=False, separators=(",", ":")).encode()
    except InvalidYaml as error:
        raise Refusal(400, "BadRequest", f"The body is not YAML that can be read: {error}.") from error
    except ValueError as error:  # half a surrogate pair, or a number of thousands of digits
        raise Refusal(400, "BadRequest", "The body has a value that JSON does not have.") from error


def _yaml_of(content: bytes) -> bytes:
    """Return an answer as YAML; one that is deep or large as it is, because JSON is YAML too."""
    try:
        value = json.loads(content)
        return yaml_documents.dump(value) if yaml_documents.is_small(value) else content
    except RecursionError:
        return content


def _is_translated(start: Message) -> bool:
    headers = Headers(raw=start["headers"])
    return start["status"] < 400 and _media_type(headers.get("content-type", "")) == _JSON


def _as_json(headers: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """Return the headers of a request whose body is translated: its length is another one."""
    kept = [(name, value) for name, value in headers if name not in (b"content-type", b"content-length")]
    return [*kept, (b"content-type", _JSON.encode())]


def _media_type(value: str) -> str:
    return value.partition(";")[0].strip().lower()


def _prefers_yaml(accept: str) -> bool:
    """Return True if a request names YAML before JSON, or JSON not at all."""
    named = [kind for kind in map(_media_type, accept.split(",")) if kind in (YAML, _JSON, "*/*")]
    return named[:1] == [YAML]
