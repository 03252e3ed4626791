"""A model server with the oddities of real ones. The requested ``model`` names the oddity."""

import asyncio
import gzip
import json
import zlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from tests.fakes.closing_server import closing_server
from tests.fakes.model import Connection, Object, Request

USAGE = {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10}
EVENTS = "text/event-stream"
READ, WRITE = ("read", '{"a": 1}'), ("write", '{"b": 2}')


@dataclass(frozen=True)
class Answer:
    """One HTTP response."""

    body: bytes
    status: int = 200
    headers: dict[str, str] = field(default_factory=lambda: {"content-type": EVENTS})


def data(value: Any) -> str:
    """Return an event."""
    return f"data: {value if isinstance(value, str) else json.dumps(value)}\n\n"


def delta(finish: str | None = None, **fields: Any) -> str:
    """Return the event of a delta."""
    return data(
        {"object": "chat.completion.chunk", "choices": [{"index": 0, "delta": fields, "finish_reason": finish}]}
    )


def call(identity: str | None, name: str, arguments: Any, **fields: Any) -> Object:
    """Return a tool call without an index."""
    return {"id": identity, "type": "function", "function": {"name": name, "arguments": arguments}} | fields


def whole(finish: str | None = "stop", **message: Any) -> bytes:
    """Return a whole completion."""
    choice = {"index": 0, "message": {"role": "assistant"} | message, "finish_reason": finish}
    return json.dumps({"object": "chat.completion", "choices": [choice], "usage": USAGE}, indent=2).encode()


ROLE, DONE = delta(role="assistant", content=""), data("[DONE]")
END = delta("stop") + data({"choices": [], "usage": USAGE}) + DONE
HEL, LO = delta(content="Hel"), delta(content="lo")
LARGE = json.dumps({"content": 'a line with "quotes", \\ and äöü\n' * 1300})
"""Arguments of 58,000 characters."""
THINKS = [{"type": "thinking", "thinking": [{"type": "text", "text": text}]} for text in ("I ", "think")]
HELLO = ROLE + HEL + LO + END

STREAMS: dict[str, str] = {
    "magistral": ROLE + delta(content=THINKS[:1]) + delta(content=THINKS[1:]) + HEL + LO + END,
    "magistral-list": delta(content=THINKS)
    + delta(content=[{"type": "text", "text": "Hel"}])
    + delta(content=[{"type": "text", "text": "lo"}])
    + END,
    "reasoning": delta(reasoning="I ", content="") + delta(reasoning="think") + HEL + LO + END,
    "empty-data": ROLE + HEL + "data:\n\n" + LO + "data: \n\n" + END,
    "keepalive-data": ROLE + HEL + data(": keepalive") + LO + END,
    "unknown-events": ROLE + HEL + "event: ping\ndata: {}\n\n" + data({"warning": "no usage"}) + LO + END,
    "comments": ": PROCESSING\n\nretry: 3000\n\n" + ROLE + HEL + ":\n\n: ping\n" + LO + END,
    "cr": HELLO.replace("\n", "\r"),
    "crlf": HELLO.replace("\n", "\r\n"),
    "no-space": HELLO.replace("data: ", "data:"),
    "azure": data({"id": "", "model": "", "prompt_filter_results": [{"prompt_index": 0}], "choices": []})
    + ROLE
    + HEL
    + data({"choices": [{"index": 0, "finish_reason": None, "content_filter_offsets": {"check_offset": 1}}]})
    + LO
    + END,
    "usage-in-each": data({"id": "", "model": "", "choices": []})
    + data({"choices": [{"index": 0, "delta": {"content": "Hel"}}], "usage": USAGE})
    + data({"id": "", "choices": [{"delta": {"content": "lo"}, "finish_reason": "stop"}], "usage": USAGE})
    + data({"choices": [], "cost": "0"})
    + DONE,
    "reasoning-content": delta(reasoning_content="I ") + delta(reasoning_content="think") + HEL + LO + END,
    "parts-then-texts": delta(content=THINKS) + delta(content=[{"type": "text", "text": "Hel"}]) + LO + END,
    "unmarked": ROLE + HEL + delta("stop", content="lo"),
    "no-finish-reason": ROLE + HEL + LO + DONE,
    "odd-finish-reason": ROLE + HEL + LO + delta("eos") + DONE,
    "moonshot": ROLE
    + HEL
    + LO
    + data({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop", "usage": USAGE}]}),
    "no-index": delta(tool_calls=[call("call_1", *READ)]) + delta(tool_calls=[call("call_2", *WRITE)]) + END,
    "restarting": delta(tool_calls=[call("call_1", *READ, index=0)])
    + delta(tool_calls=[call("call_2", *WRITE, index=0)])
    + END,
    "objects": delta(tool_calls=[call("call_1", "read", {"a": 1}), call("call_2", "write", {"b": 2})]) + END,
    "one-without-index": delta(tool_calls=[call("call_1", *READ)]) + delta("tool_calls") + DONE,
    "without-id": delta(tool_calls=[call(None, *READ, index=0)]) + delta("tool_calls") + DONE,
    "without-arguments": delta(tool_calls=[{"index": 0, "id": "call_1", "function": {"name": "read"}}])
    + delta("tool_calls")
    + DONE,
    "large-arguments": delta(tool_calls=[call("call_1", "read", "", index=0)])
    + "".join(
        delta(tool_calls=[{"index": 0, "function": {"arguments": LARGE[at : at + 100]}}])
        for at in range(0, len(LARGE), 100)
    )
    + END,
    "function-call": delta(function_call={"name": "read", "arguments": '{"a": '})
    + delta(function_call={"arguments": "1}"})
    + delta("function_call")
    + DONE,
    "error-event": 'event: error\ndata: {"message": "slow down", "code": 429}\n\n',
    "error-first": data({"error": {"message": "too long", "type": "invalid_request_error", "code": "c_l_e"}}) + DONE,
    "error-late": ROLE + HEL + data({"error": {"message": "too long", "code": "c_l_e"}}) + DONE,
    "error-as-text": ROLE + HEL + data({"error": "out of memory"}) + DONE,
    "bare-error-late": ROLE + HEL + data({"code": 500, "message": "out of memory"}) + DONE,
    "failed": ROLE + HEL + delta("error") + DONE,
}
_ERROR = {
    "message": "too long",
    "type": "invalid_request_error",
    "param": "messages",
    "code": "context_length_exceeded",
}
KEY, HEADER = "sk-quoted", "hdr-quoted-0"
"""Secrets of an instance whose model quotes them."""
_QUOTES = {
    "message": f"no account for {KEY} of {HEADER}",
    "type": f"refused_{HEADER}",
    "param": f"headers.{KEY}",
    "code": f"unknown:{KEY}",
}
_GOOGLE = [{"error": {"code": 429, "message": "quota", "status": "RESOURCE_EXHAUSTED"}}]
ANSWERS: dict[str, Answer] = {name: Answer(stream.encode()) for name, stream in STREAMS.items()} | {
    "json-as-text": Answer(whole(content="Hello"), headers={"content-type": "text/plain; charset=utf-8"}),
    "json-as-events": Answer(whole(content="Hello")),
    "json-untyped": Answer(whole(content="Hello"), headers={}),
    "json-parts": Answer(whole(content=[*THINKS, {"type": "text", "text": "Hello"}])),
    "json-tools": Answer(whole("stop", tool_calls=[call("call_1", *READ), call("call_2", *WRITE)])),
    "events-as-json": Answer(HELLO.encode(), headers={"content-type": "application/json"}),
    "gzip": Answer(gzip.compress(HELLO.encode()), headers={"content-type": EVENTS, "content-encoding": "gzip"}),
    "gzip-members": Answer(
        gzip.compress((ROLE + HEL).encode()) + gzip.compress((LO + END).encode()), headers={"content-encoding": "gzip"}
    ),
    "gzip-cut-after-its-end": Answer(
        gzip.compress(HELLO.removesuffix(DONE).encode())[:-4], headers={"content-encoding": "gzip"}
    ),
    "gzip-cut": Answer(gzip.compress((ROLE + HEL).encode())[:-8], headers={"content-encoding": "gzip"}),
    "gzip-json-cut": Answer(gzip.compress(whole(content="Hello"))[:-8], headers={"content-encoding": "gzip"}),
    "deflate": Answer(zlib.compress(HELLO.encode())[2:-4], headers={"content-encoding": "deflate"}),
    "brotli": Answer(b"\x0b", headers={"content-encoding": "br"}),
    "error-as-answer": Answer(b'{"error": {"message": "overloaded", "type": "server_error", "code": "overloaded"}}'),
    "refused": Answer(json.dumps({"error": _ERROR}).encode(), 400),
    "limited": Answer(json.dumps(_GOOGLE).encode(), 429, {"retry-after": "17"}),
    "unauthorised": Answer(b'{"error": {"message": "bad key", "code": "invalid_api_key"}}', 401),
    "quoting": Answer(json.dumps({"error": _QUOTES}).encode(), 400),
    "moved": Answer(b"", 307, {"location": "/v2/chat/completions?key=secret"}),
    "moved-nowhere": Answer(b"", 307, {"location": "http://[v2"}),
}


class OddModel:
    """The running server; ``requests`` are what it was sent."""

    def __init__(self) -> None:
        self.url = ""
        self.requests: list[Request] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one connection's requests."""
        with suppress(ConnectionError):
            async for request in Connection(reader, writer).requests():
                self.requests.append(request)
                answer = ANSWERS[json.loads(request.body)["model"]]
                headers = answer.headers | {"content-length": str(len(answer.body))}
                lines = [f"HTTP/1.1 {answer.status} -", *(f"{name}: {value}" for name, value in headers.items())]
                writer.write("\r\n".join([*lines, "", ""]).encode())
                middle = len(answer.body) // 2
                for piece in (answer.body[:middle], answer.body[middle:]):
                    writer.write(piece)
                    await writer.drain()
        writer.close()


@asynccontextmanager
async def odd_serving() -> AsyncIterator[OddModel]:
    """A running model; its ``url`` is the base URL of its API."""
    model = OddModel()
    async with closing_server(model.serve) as port:
        model.url = f"http://127.0.0.1:{port}/v1"
        yield model
