"""A scripted OpenAI-compatible model server. Standard library only: it also runs alone, in a pod, from this one file.

The requested ``model`` name is the script, so that many tests share one server:

=================  ==================================================================================================
``instant``        three tokens at once; so does any name that is not in this list
``echo``           the answer's text is JSON: the ``headers`` and the ``body`` that reached the model
``digest``         the answer's text is JSON: length and SHA-256 of the text of the conversation's last message
``slow:N:MS``      N tokens, MS milliseconds apart, the first at once; each is the unix time in ms when it was sent
``held:MS``        numbers, MS milliseconds apart, until ``POST /release``, and again after ``POST /hold``; only for streams
``status:NNN``     an error answer with this status; 429 and 503 with Retry-After
``hang``           accepts the request and never answers
``cut``            two tokens, then the connection drops
``badjson``        a token, then a frame that is not JSON
``errorframe``     a token, then an error object in a frame, as servers report a failure after streaming began
``tools``          two tool calls, their arguments in pieces; once their results are in the conversation, three tokens
``calls``          the tool call that a user message names, as ``[[NAME {arguments}]]``, where the caller offers that tool; once its
                   result is in the conversation, that result
``first``          a call of the first tool that is offered, whose required arguments are all the last message; once its result is in the
                   conversation, that result
``turns``          the turns that the last user message lists as JSON, one per answer: ``{"content": ..., "calls": [[ID, NAME, ARGUMENTS]],
                   "finish": ..., "usage": ...}``, of which all may be absent
``refusal``        a refusal in two pieces
``rich``           three tokens, with a fingerprint, a service tier and a count of tokens in detail
``half``           a character beyond the basic plane, half of it in each of two chunks, and then another half alone
``plain``          a whole JSON completion even where a stream was asked for
=================  ==================================================================================================

``n`` and ``logprobs`` are honoured. ``POST /v1/completions`` answers with the same scripts, ``POST /v1/embeddings`` with a vector per
input: its length and 1; ``status:NNN`` and ``hang`` hold there as well. ``GET /last`` tells the path, headers and body of the last
POST, ``GET /counts`` tells how many completions were asked for, finished and abandoned by the caller, ``GET /asked`` how often one was
asked for with each text as its last message.
"""

import argparse
import asyncio
import base64
import hashlib
import itertools
import json
import re
import ssl
import struct
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import asdict, dataclass, field
from typing import Any, NamedTuple
from urllib.parse import urlsplit
from weakref import WeakSet

Object = dict[str, Any]

TOKENS = ("Hello", " from", " the fake model.")
TOOL_CALLS = (("call_1", "get_weather", '{"city": "Łódź"}'), ("call_2", "get_time", "{}"))
HALVES = ("\ud83d", "\ude00", "\ud83d")
REFUSAL = ("I would", " rather not.")
DETAILS = {"system_fingerprint": "fp_fake", "service_tier": "flex"}
RICH_USAGE = {
    "prompt_tokens": 7,
    "completion_tokens": 3,
    "total_tokens": 10,
    "prompt_tokens_details": {"cached_tokens": 4},
    "completion_tokens_details": {"reasoning_tokens": 1},
}
USAGE = {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10}
_ERROR_TYPES = {400: "invalid_request_error", 401: "authentication_error", 429: "rate_limit_error"}
_RETRY_LATER = (429, 503)
_CALL = re.compile(r"\[\[(\w+) (\{.*?\})\]\]", re.DOTALL)


class Dropped(Exception):
    """The connection ends here, in the middle of whatever it was."""


class Request(NamedTuple):
    """One HTTP request."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    target: str = ""
    """The path as it was sent, with its query."""


@dataclass
class Counts:
    """Counts of chat completions by their end."""

    asked: int = 0
    finished: int = 0
    abandoned: int = 0


@dataclass(frozen=True)
class Completion:
    """A chat completion that is asked for."""

    body: Object
    headers: dict[str, str]
    created: int = field(default_factory=lambda: int(time.time()))
    legacy: bool = False
    """Asked for as ``/v1/completions``."""

    @property
    def model(self) -> str:
        return str(self.body.get("model", "instant"))

    @property
    def script(self) -> str:
        name = self.model.partition(":")[0]
        if name == "tools" and self.tool_results:
            return "instant"
        return name

    @property
    def messages(self) -> list[Object]:
        return self.body.get("messages") or []

    @property
    def tool_results(self) -> list[str]:
        return [_text(message) for message in self.messages if message.get("role") == "tool"]

    @property
    def tool_calls(self) -> Sequence[tuple[str, str, str]]:
        """Identity, name and arguments of each call that the script makes."""
        if self.script == "tools":
            return TOOL_CALLS
        if self.script == "turns":
            return [(call[0], call[1], call[2]) for call in self.turn.get("calls", ())]
        if self.script not in ("calls", "first") or self.tool_results:
            return ()
        if self.script == "first":
            return self._call_of_the_first_tool
        offered = {tool["function"]["name"] for tool in self.body.get("tools") or ()}
        asked = [_CALL.search(_text(message)) for message in self.messages if message.get("role") == "user"]
        return [("call_1", call[1], call[2]) for call in asked if call and call[1] in offered][-1:]

    @property
    def _call_of_the_first_tool(self) -> Sequence[tuple[str, str, str]]:
        functions = [tool["function"] for tool in self.body.get("tools") or ()]
        required = functions[0].get("parameters", {}).get("required", ()) if functions else ()
        arguments = json.dumps(dict.fromkeys(required, self.last_message))
        return [("call_1", function["name"], arguments) for function in functions[:1]]

    @property
    def turn(self) -> Object:
        """The turn of the script ``turns`` that this answer is."""
        users = [number for number, message in enumerate(self.messages) if message.get("role") == "user"]
        answered = sum(message.get("role") == "assistant" for message in self.messages[users[-1] :])
        turn: Object = json.loads(_text(self.messages[users[-1]]))[answered]
        return turn

    @property
    def last_message(self) -> str:
        messages = self.body.get("messages") or [{}]
        content = messages[-1].get("content")
        return content if isinstance(content, str) else json.dumps(content)

    @property
    def arguments(self) -> list[int]:
        return [int(part) for part in self.model.split(":")[1:]]

    @property
    def choices(self) -> range:
        return range(self.body.get("n") or 1)

    @property
    def wants_stream(self) -> bool:
        return bool(self.body.get("stream")) and self.script != "plain"

    @property
    def wants_usage(self) -> bool:
        return bool((self.body.get("stream_options") or {}).get("include_usage"))

    @property
    def usage(self) -> Object:
        if self.script == "turns":
            usage: Object = self.turn.get("usage", USAGE)
            return usage
        return RICH_USAGE if self.script == "rich" else USAGE

    @property
    def kind(self) -> str:
        return "text_completion" if self.legacy else "chat.completion"

    def logprobs(self, token: str) -> Object:
        """The field ``logprobs`` of a choice that says this token, if it was asked for."""
        if not self.body.get("logprobs") or not token:
            return {}
        if self.legacy:
            return {"logprobs": {"tokens": [token], "token_logprobs": [-0.5], "top_logprobs": [], "text_offset": [0]}}
        one = {"token": token, "logprob": -0.5, "bytes": list(token.encode()), "top_logprobs": []}
        return {"logprobs": {"content": [one], "refusal": None}}


Script = Callable[[Completion, "Connection"], Awaitable[None]]


class Connection:
    """One keep-alive connection, one answer after the other."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, released: asyncio.Event | None = None
    ) -> None:
        self._reader = reader
        self._writer = writer
        self.released = released or asyncio.Event()
        """Set once the answers of the script ``held`` may end."""

    async def requests(self) -> AsyncIterator[Request]:
        """The requests of this connection, until the caller closes it."""
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = (await self._reader.readuntil(b"\r\n\r\n")).decode("latin-1")
                first, *lines = head.strip().split("\r\n")
                method, path, _ = first.split(" ")
                headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
                body = await self._reader.readexactly(int(headers.get("content-length", "0")))
                yield Request(
                    method, urlsplit(path).path, headers, body, path
                )  # an absolute URL comes from a proxy's client

    async def answer(self, status: int, body: Object) -> None:
        """Send a whole JSON answer."""
        data = json.dumps(body).encode()
        self._head(status, "application/json", f"content-length: {len(data)}")
        self._writer.write(data)
        await self._writer.drain()

    def begin_stream(self) -> None:
        """Begin a stream of events."""
        self._head(200, "text/event-stream", "transfer-encoding: chunked")

    async def frame(self, data: str) -> None:
        """Send one event, at once."""
        event = f"data: {data}\n\n".encode()
        self._writer.write(b"%x\r\n%b\r\n" % (len(event), event))
        await self._writer.drain()

    async def end_stream(self) -> None:
        """End a stream of events."""
        await self.frame("[DONE]")
        self._writer.write(b"0\r\n\r\n")
        await self._writer.drain()

    async def hung_up(self) -> None:
        """Wait until the caller is gone; it sends nothing before it has its answer."""
        await self._reader.read(1)
        raise ConnectionResetError

    def _head(self, status: int, content_type: str, framing: str) -> None:
        retry = "retry-after: 1\r\n" if status in _RETRY_LATER else ""
        self._writer.write(f"HTTP/1.1 {status} -\r\ncontent-type: {content_type}\r\n{retry}{framing}\r\n\r\n".encode())


class Model:
    """The server's state: it counts, and knows what each script sends."""

    def __init__(self) -> None:
        self.counts = Counts()
        self.last: Object = {}
        self.asked: Counter[str] = Counter()
        """Completions by the text of their last message."""
        self.hear: Callable[[Request], object] = lambda _: None
        """Told of each POST as it comes."""
        self._released = asyncio.Event()
        self._writers = WeakSet[asyncio.StreamWriter]()
        self.url = ""
        """The base URL of the API, with ``/v1``."""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one connection's requests."""
        self._writers.add(writer)
        connection = Connection(reader, writer, self._released)
        try:
            async for request in connection.requests():
                await self._route(request, connection)
        except (ConnectionError, Dropped):
            writer.transport.abort()
        finally:
            writer.close()

    async def close(self) -> None:
        """Close the connections whose callers have not left yet, and notice those who have."""
        for writer in tuple(self._writers):
            writer.transport.abort()
        await rest()

    def _hold_or_release(self, path: str) -> None:
        if path == "/hold":
            self._released = asyncio.Event()
        else:
            self._released.set()

    async def _route(self, request: Request, connection: Connection) -> None:
        if request.method == "POST":
            self.last = {"path": request.path, "headers": request.headers, "body": request.body.decode()}
            self.hear(request)
        match request.method, request.path:
            case "POST", "/v1/chat/completions" | "/v1/completions":
                await self._complete(request, connection)
            case "POST", "/v1/embeddings":
                await self._complete(request, connection, _embed)
            case "POST", "/hold" | "/release":
                self._hold_or_release(request.path)
                await connection.answer(200, {})
            case "GET", "/last":
                await connection.answer(200, self.last)
            case "GET", "/v1/models":
                models = [{"id": "instant", "object": "model", "created": 0, "owned_by": "tests"}]
                await connection.answer(200, {"object": "list", "data": models})
            case "GET", "/counts":
                await connection.answer(200, asdict(self.counts))
            case "GET", "/asked":
                await connection.answer(200, self.asked)
            case "GET", "/healthz":
                await connection.answer(200, {"status": "ok"})
            case _:
                await connection.answer(404, _error(404, f"nothing at {request.path}"))

    async def _complete(self, request: Request, connection: Connection, well: Script | None = None) -> None:
        self.counts.asked += 1
        try:
            legacy = request.path == "/v1/completions"
            completion = Completion(json.loads(request.body), request.headers, legacy=legacy)
            self.asked[completion.last_message] += 1
            await _SPECIAL.get(completion.script, well or _ordinary)(completion, connection)
            self.counts.finished += 1
        except ConnectionError:
            self.counts.abandoned += 1
            raise
        except (ValueError, AttributeError):
            await connection.answer(400, _error(400, "the body or the script in its model's name is malformed"))


async def _ordinary(asked: Completion, connection: Connection) -> None:
    """Every script that answers well."""
    if not asked.wants_stream:
        return await connection.answer(200, await _whole(asked))
    connection.begin_stream()
    async for delta in _deltas(asked):
        for index in asked.choices:
            await connection.frame(_choice(asked, index, delta))
    for index in asked.choices:
        await connection.frame(_choice(asked, index, {}, finish_reason=_finish_reason(asked)))
    if asked.wants_usage:
        await connection.frame(_chunk(asked, [], usage=asked.usage))
    return await connection.end_stream()


async def _status(asked: Completion, connection: Connection) -> None:
    [status] = asked.arguments
    await connection.answer(status, _error(status, f"the model says {status}"))


async def _hang(_: Completion, connection: Connection) -> None:
    await connection.hung_up()


async def _held(asked: Completion, connection: Connection) -> None:
    [milliseconds] = asked.arguments
    connection.begin_stream()
    for number in itertools.count(1):
        await connection.frame(_choice(asked, 0, {"content": f"{number} "}))
        with suppress(TimeoutError):
            await asyncio.wait_for(connection.released.wait(), milliseconds / 1000)
            break
    await connection.frame(_choice(asked, 0, {"content": "released"}))
    await connection.frame(_choice(asked, 0, {}, finish_reason="stop"))
    await connection.end_stream()


def _begins(*frames: str) -> Script:
    """A script that sends the first tokens, then these frames, and drops the connection."""

    async def script(asked: Completion, connection: Connection) -> None:
        connection.begin_stream()
        for token in TOKENS[:2]:
            await connection.frame(_choice(asked, 0, {"content": token}))
        for frame in frames:
            await connection.frame(frame)
        raise Dropped

    return script


_SPECIAL: dict[str, Script] = {
    "status": _status,
    "hang": _hang,
    "held": _held,
    "cut": _begins(),
    "badjson": _begins('{"choices": [{'),
    "errorframe": _begins('{"error": {"message": "the model ran out of memory", "type": "server_error"}}'),
}


def _chunk(asked: Completion, choices: list[Object], **others: Any) -> str:
    kind = asked.kind if asked.legacy else f"{asked.kind}.chunk"
    about = {"id": "chatcmpl-fake", "object": kind, "created": asked.created, "model": asked.model} | _details(asked)
    return json.dumps(about | {"choices": choices} | others)


def _details(asked: Completion) -> Object:
    return DETAILS if asked.script == "rich" else {}


def _choice(asked: Completion, index: int, delta: Object, finish_reason: str | None = None) -> str:
    text = delta.get("content") or ""
    said = {"text": text} if asked.legacy else {"delta": delta}
    return _chunk(asked, [{"index": index, **said, "finish_reason": finish_reason} | asked.logprobs(text)])


def _echo(asked: Completion) -> Object:
    """What reached the model, or the length and digest of the last message."""
    if asked.script == "echo":
        return {"headers": asked.headers, "body": asked.body}
    text = asked.last_message.encode()
    return {"bytes": len(text), "sha256": hashlib.sha256(text).hexdigest()}


async def _deltas(asked: Completion) -> AsyncIterator[Object]:
    """Give the deltas of a choice, each at its time."""
    yield {"role": "assistant", "content": None if asked.tool_calls or asked.script == "refusal" else ""}
    match asked.script:
        case "slow":
            async for moment in _paced(*asked.arguments):
                yield {"content": moment}
        case "echo" | "digest":
            yield {"content": json.dumps(_echo(asked))}
        case "tools" | "calls" | "first" | "turns" if asked.tool_calls or asked.script == "turns":
            for delta in _turn_deltas(asked):
                yield delta
        case "calls" | "first" if asked.tool_results:
            yield {"content": asked.tool_results[-1]}
        case "refusal":
            for piece in REFUSAL:
                yield {"refusal": piece}
        case _:
            for token in HALVES if asked.script == "half" else TOKENS:
                yield {"content": token}


async def _paced(count: int, milliseconds: int) -> AsyncIterator[str]:
    """The time, so many times, so far apart."""
    began = time.monotonic()
    for number in range(count):
        await asyncio.sleep(max(0.0, began + number * milliseconds / 1000 - time.monotonic()))
        yield f"{time.time() * 1000:.3f} "


def _turn_deltas(asked: Completion) -> Iterator[Object]:
    content = asked.turn.get("content") or "" if asked.script == "turns" else ""
    yield from ({"content": line} for line in content.splitlines(keepends=True))
    yield from ({"tool_calls": [delta]} for delta in _tool_deltas(asked.tool_calls))


def _tool_deltas(calls: Sequence[tuple[str, str, str]]) -> Iterator[Object]:
    """Id, type and name only in the first piece of a call, as OpenAI sends them."""
    for index, (identity, name, arguments) in enumerate(calls):
        yield {"index": index, "id": identity, "type": "function", "function": {"name": name, "arguments": ""}}
        for start in range(0, len(arguments), 4):
            yield {"index": index, "function": {"arguments": arguments[start : start + 4]}}


async def _whole(asked: Completion) -> Object:
    content = "".join([delta.get("content") or "" async for delta in _deltas(asked)])
    message: Object = {"role": "assistant", "content": content or None}
    if asked.tool_calls:
        message["tool_calls"] = [
            {"id": i, "type": "function", "function": {"name": n, "arguments": a}} for i, n, a in asked.tool_calls
        ]
    said: Object = {"text": content} if asked.legacy else {"message": message}
    choice = said | {"finish_reason": _finish_reason(asked)} | asked.logprobs(content)
    about = {"id": "chatcmpl-fake", "object": asked.kind, "created": asked.created, "model": asked.model}
    choices = [choice | {"index": index} for index in asked.choices]
    return about | _details(asked) | {"choices": choices, "usage": asked.usage}


def _text(message: Object) -> str:
    """The text of a message, whose content may be parts."""
    content = message.get("content") or ""
    return content if isinstance(content, str) else "".join(part.get("text") or "" for part in content)


async def _embed(asked: Completion, connection: Connection) -> None:
    given = asked.body["input"]
    inputs = given if isinstance(given, list) and not all(isinstance(part, int) for part in given) else [given]
    data = [
        {"object": "embedding", "index": index, "embedding": _vector(asked, len(text))}
        for index, text in enumerate(inputs)
    ]
    usage = {"prompt_tokens": len(inputs), "total_tokens": len(inputs)}
    answer = {"object": "list", "data": data, "model": asked.model, "usage": usage}
    if asked.model == "usage-first":  # as llama.cpp does
        answer = {"model": asked.model, "object": "list", "usage": usage, "data": data}
    await connection.answer(200, answer)


def _vector(asked: Completion, size: int) -> Any:
    vector = [float(size), 1.0]
    if asked.body.get("encoding_format") == "base64":
        return base64.b64encode(struct.pack("<2f", *vector)).decode()
    return vector


def _finish_reason(asked: Completion) -> str:
    if asked.script == "turns" and "finish" in asked.turn:
        return str(asked.turn["finish"])
    return "tool_calls" if asked.tool_calls else "stop"


def _error(status: int, message: str) -> Object:
    kind = _ERROR_TYPES.get(status, "server_error")
    return {"error": {"message": message, "type": kind, "param": None, "code": str(status)}}


@asynccontextmanager
async def serving(host: str = "127.0.0.1", port: int = 0, tls: ssl.SSLContext | None = None) -> AsyncIterator[Model]:
    """A running model; its ``url`` is the base URL of its API."""
    model = Model()
    server = await asyncio.start_server(model.serve, host, port, ssl=tls)
    model.url = f"{'https' if tls else 'http'}://{host}:{server.sockets[0].getsockname()[1]}/v1"
    try:
        yield model
    finally:
        await end_accepting(server)
        await model.close()


async def end_accepting(server: asyncio.Server) -> None:
    """Close a server once the connections that the kernel has accepted for it are its own: asyncio breaks one that comes after."""
    for listener in server.sockets:
        asyncio.get_running_loop().remove_reader(listener.fileno())
    await rest()
    server.close()


async def rest() -> None:
    """Let the loop accept, begin and end what is under way: each takes a few turns, which time alone does not give."""
    for _ in range(10):
        await asyncio.sleep(0.001)


async def main() -> None:
    """Serve until killed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--host", default="0.0.0.0")
    parser.add_argument("--port", type=int, default=8080)
    arguments = parser.parse_args()
    async with serving(arguments.host, arguments.port):
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main())
