"""A scripted server of each dialect, in the forms that the vendors' own servers send. Standard library only: it also runs alone.

The path chooses the dialect: ``/v1/messages`` Anthropic, ``...:streamGenerateContent`` Gemini, ``/openai/deployments/...`` Azure, and
``/{openai,groq,deepseek,mistral,xai,ollama}/v1/chat/completions``. The ``model`` is the script:

====================  ===============================================================================================
``flaky:NNN:K``       the first K requests get an error answer with status NNN, the others the three TOKENS
``status:NNN``        an error answer with this status
``overloaded``        an error event after the stream has begun, before the first token
``overloaded:late``   the same after a token
``cut``               a token, then the connection ends
``turns``             the turns that the last user message lists as JSON, one per answer: ``{"thinking", "content", "calls": [[ID, NAME,
                      ARGUMENTS]], "reason": one of the vendor's own words}``, of which all may be absent
====================  ===============================================================================================

Any other name gets TOKENS. ``piece`` cuts the stream into pieces of that many bytes.
"""

import argparse
import asyncio
import json
import re
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote, urlsplit

Object = dict[str, Any]

TOKENS = ("Hello", " from", " Łódź 🌍.")
SIGNATURE = "c2lnbmVk"
USAGE = {"input": 7, "output": 5, "cached": 4, "reasoning": 2}
"""Tokens: of the prompt in all, of the answer with its reasoning, read from the cache, of the reasoning."""
_PATHS = (
    (re.compile("/v1/messages$"), "anthropic"),
    (re.compile("/models/(.+):streamGenerateContent$"), "gemini"),
    (re.compile("/openai/deployments/([^/]+)/chat/completions$"), "azure"),
    (re.compile("/(openai|groq|deepseek|mistral|xai|ollama)/v1/chat/completions$"), ""),
)


BASES = {
    "openai_compat": "/openai/v1",
    "anthropic_native": "/v1",
    "gemini_native": "/v1beta",
    "azure_openai": "",
    "groq": "/groq/v1",
    "deepseek": "/deepseek/v1",
    "mistral": "/mistral/v1",
    "xai": "/xai/v1",
    "ollama": "/ollama/v1",
}
"""Types of Providers, and the paths of the base addresses under which this server speaks as they do."""


@dataclass(frozen=True)
class Asked:
    """One request, as far as a script looks at it."""

    dialect: str
    model: str
    target: str
    headers: dict[str, str]
    body: Object
    at: float = field(default_factory=time.monotonic)
    """The moment at which the request was there."""

    @property
    def turn(self) -> Object:
        """The turn to answer with."""
        if self.model != "turns":
            return {"content": "".join(TOKENS)}
        users = [number for number, message in enumerate(self._messages) if self._text(message).startswith("[")]
        answered = sum(message.get("role") in ("assistant", "model") for message in self._messages[users[-1] :])
        turn: Object = json.loads(self._text(self._messages[users[-1]]))[answered]
        return turn

    @property
    def _messages(self) -> list[Object]:
        messages: list[Object] = self.body["contents" if self.dialect == "gemini" else "messages"]
        return messages

    def _text(self, message: Object) -> str:
        if message.get("role") != "user":
            return ""
        content = message.get("parts" if self.dialect == "gemini" else "content") or ""
        return content if isinstance(content, str) else "".join(part.get("text") or "" for part in content)


def _anthropic(turn: Object) -> Iterator[Object]:
    usage = {
        "input_tokens": USAGE["input"] - USAGE["cached"],
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": USAGE["cached"],
        "output_tokens": 1,
    }
    message = {"id": "msg_1", "type": "message", "role": "assistant", "model": "claude", "content": []}
    yield {"type": "message_start", "message": message | {"stop_reason": None, "usage": usage}}
    yield {"type": "ping"}
    for index, (kind, pieces) in enumerate(_blocks(turn)):
        yield {"type": "content_block_start", "index": index, "content_block": kind}
        yield from ({"type": "content_block_delta", "index": index, "delta": delta} for delta in pieces)
        yield {"type": "content_block_stop", "index": index}
    reason = turn.get("reason") or ("tool_use" if turn.get("calls") else "end_turn")
    output = {"output_tokens": USAGE["output"], "output_tokens_details": {"thinking_tokens": USAGE["reasoning"]}}
    yield {"type": "message_delta", "delta": {"stop_reason": reason, "stop_sequence": None}, "usage": output}
    yield {"type": "message_stop"}


def _blocks(turn: Object) -> Iterator[tuple[Object, list[Object]]]:
    if text := turn.get("thinking"):
        deltas = [{"type": "thinking_delta", "thinking": piece} for piece in _pieces(text)]
        head = {"type": "thinking", "thinking": "", "signature": ""}
        yield head, [*deltas, {"type": "signature_delta", "signature": SIGNATURE}]
    if text := turn.get("content"):
        yield {"type": "text", "text": ""}, [{"type": "text_delta", "text": piece} for piece in _pieces(text)]
    for identity, name, arguments in turn.get("calls", ()):
        pieces = [] if arguments == "{}" else ["", *_pieces(arguments)]
        deltas = [{"type": "input_json_delta", "partial_json": piece} for piece in pieces]
        yield {"type": "tool_use", "id": identity, "name": name, "input": {}}, deltas


def _gemini(turn: Object) -> Iterator[Object]:
    parts = [{"text": piece, "thought": True} for piece in _pieces(turn.get("thinking", ""))]
    parts += [{"text": piece} for piece in _pieces(turn.get("content", ""))]
    for number, (_, name, arguments) in enumerate(turn.get("calls", ())):
        call: Object = {"functionCall": {"name": name, "args": json.loads(arguments)}}
        parts.append(call if number else call | {"thoughtSignature": SIGNATURE})
    counts = {
        "promptTokenCount": USAGE["input"],
        "candidatesTokenCount": USAGE["output"] - USAGE["reasoning"],
        "thoughtsTokenCount": USAGE["reasoning"],
        "cachedContentTokenCount": USAGE["cached"],
        "totalTokenCount": USAGE["input"] + USAGE["output"],
    }
    for part in parts:
        yield {"candidates": [{"content": {"parts": [part], "role": "model"}, "index": 0}], "modelVersion": "gemini"}
    last = {
        "content": {"parts": [{"text": ""}], "role": "model"},
        "finishReason": turn.get("reason") or "STOP",
        "index": 0,
    }
    yield {"candidates": [last], "usageMetadata": counts}


def _openai(turn: Object, dialect: str) -> Iterator[Object | None]:
    yield _choice({"role": "assistant", "content": ""})
    name = "reasoning" if dialect in ("groq", "ollama") else "reasoning_content"
    yield from (_choice({name: piece}) for piece in _pieces(turn.get("thinking", "")))
    yield from (_choice({"content": piece}) for piece in _pieces(turn.get("content", "")))
    for index, (identity, function, arguments) in enumerate(turn.get("calls", ())):
        whole = {"id": identity, "type": "function", "function": {"name": function, "arguments": arguments}}
        if dialect == "ollama":
            yield _choice({"tool_calls": [whole | {"index": 0}]})
        elif dialect == "mistral":
            yield _choice({"tool_calls": [whole | {"index": index}]})
        else:
            yield _choice({"tool_calls": [whole | {"index": index, "function": {"name": function, "arguments": ""}}]})
            for piece in _pieces(arguments):
                yield _choice({"tool_calls": [{"index": index, "function": {"arguments": piece}}]})
    last = _choice({}) | {"usage": None}
    last["choices"][0]["finish_reason"] = turn.get("reason") or ("tool_calls" if turn.get("calls") else "stop")
    yield last | _counts(dialect, is_last=True)
    if counts := _counts(dialect, is_last=False):
        yield {"id": "x", "object": "chat.completion.chunk", "choices": []} | counts
    yield None


def _counts(dialect: str, *, is_last: bool) -> Object:
    """The count of tokens of the last chunk with a choice, or of the one after it, where this vendor has it."""
    counts: Object = {"prompt_tokens": USAGE["input"], "completion_tokens": USAGE["output"], "total_tokens": 12}
    if dialect == "groq":
        return {"x_groq": {"id": "req_1", "usage": counts | {"queue_time": 0.5}}} if is_last else {}
    if dialect == "mistral":
        return {"usage": counts} if is_last else {}
    if dialect == "deepseek":
        cached = {"prompt_cache_hit_tokens": USAGE["cached"], "prompt_cache_miss_tokens": 3}
        return {} if is_last else {"usage": counts | cached}
    if dialect == "xai":
        details = {"completion_tokens_details": {"reasoning_tokens": USAGE["reasoning"]}}
        without_reasoning = {"completion_tokens": USAGE["output"] - USAGE["reasoning"]}
        return {} if is_last else {"usage": counts | without_reasoning | details}
    return {} if is_last else {"usage": counts}


def _choice(delta: Object) -> Object:
    return {
        "id": "x",
        "object": "chat.completion.chunk",
        "choices": [{"index": 0, "delta": delta, "finish_reason": None}],
    }


def _pieces(text: str) -> list[str]:
    return [text[start : start + 5] for start in range(0, len(text), 5)]


def events(dialect: str, turn: Object) -> list[bytes]:
    """Return the events of one answer as they are on the wire."""
    if dialect == "anthropic":
        return [f"event: {event['type']}\ndata: {_text(event)}\n\n".encode() for event in _anthropic(turn)]
    if dialect == "gemini":
        return [f"data: {_text(event)}\r\n\r\n".encode() for event in _gemini(turn)]
    return [f"data: {'[DONE]' if event is None else _text(event)}\n\n".encode() for event in _openai(turn, dialect)]


def error_body(dialect: str, status: int) -> Object:
    """Return the body of an error answer."""
    message = f"the {dialect} server says {status}"
    if dialect == "anthropic":
        kinds = {400: "invalid_request_error", 401: "authentication_error", 429: "rate_limit_error"}
        kind = kinds.get(status, "overloaded_error" if status in (503, 529) else "api_error")
        return {"type": "error", "error": {"type": kind, "message": message}}
    if dialect == "gemini":
        words = {400: "INVALID_ARGUMENT", 401: "UNAUTHENTICATED", 429: "RESOURCE_EXHAUSTED", 503: "UNAVAILABLE"}
        return {"error": {"code": status, "message": message, "status": words.get(status, "INTERNAL")}}
    return {"error": {"message": message, "type": "server_error", "code": str(status)}}


def _text(value: Object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


@dataclass
class Vendors:
    """The server of all dialects, and what it was asked."""

    piece: int = 0
    retry_after: float | None = None
    """Seconds that error answers ask the caller to wait."""
    url: str = ""
    asked: list[Asked] = field(default_factory=list)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer the one request of a connection."""
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").strip().split("\r\n")
            headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:])}
            body = json.loads(await reader.readexactly(int(headers.get("content-length", "0"))) or b"{}")
            await self._answer(_asked(head[0].split(" ")[1], headers, body), writer)
        writer.close()

    async def _answer(self, asked: Asked, writer: asyncio.StreamWriter) -> None:
        if asked.target == "/healthz":
            return await _respond(writer, 200, {})
        self.asked.append(asked)
        script, *numbers = asked.model.split(":")
        if script == "flaky" and sum(other.model == asked.model for other in self.asked) > int(numbers[1]):
            script = ""
        if not asked.dialect:
            return await _respond(writer, 404, {"error": {"message": f"nothing at {asked.target}"}})
        if script in ("flaky", "status"):
            wait = "" if self.retry_after is None else f"retry-after: {self.retry_after}\r\n"
            return await _respond(writer, int(numbers[0]), error_body(asked.dialect, int(numbers[0])), wait)
        frames = events(asked.dialect, asked.turn)
        if script in ("overloaded", "cut"):
            tokens = 4 if script == "cut" or numbers else 1
            frames = frames[:tokens]
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n")
        raw = b"".join(frames)
        for start in range(0, len(raw), self.piece or len(raw)):
            writer.write(raw[start : start + (self.piece or len(raw))])
            await writer.drain()
        if script == "overloaded":
            await asyncio.sleep(0.02 * len(numbers))  # so that the token is read before the error comes
            mark = "event: error\n" if asked.dialect == "anthropic" else ""
            writer.write(f"{mark}data: {_text(error_body(asked.dialect, 503))}\n\n".encode())
            await writer.drain()
        return None


async def _respond(writer: asyncio.StreamWriter, status: int, body: Object, header: str = "") -> None:
    data = _text(body).encode()
    writer.write(
        f"HTTP/1.1 {status} -\r\ncontent-type: application/json\r\n{header}content-length: {len(data)}\r\n\r\n".encode()
    )
    writer.write(data)
    await writer.drain()


def _asked(target: str, headers: dict[str, str], body: Object) -> Asked:
    path = urlsplit(target).path
    for pattern, dialect in _PATHS:
        if found := pattern.search(path):
            groups = found.groups()
            model = unquote(groups[0]) if groups and dialect else str(body.get("model"))
            return Asked(dialect or groups[0], model, target, headers, body)
    return Asked("", "", target, headers, body)


@asynccontextmanager
async def vendors(host: str = "127.0.0.1", port: int = 0, *, piece: int = 0) -> AsyncIterator[Vendors]:
    """A running server; its ``url`` has no path."""
    running = Vendors(piece)
    server = await asyncio.start_server(running.serve, host, port)
    running.url = f"http://{host}:{server.sockets[0].getsockname()[1]}"
    try:
        yield running
    finally:
        from tests.fakes.model import end_accepting  # noqa: PLC0415 - a script alone in a pod never gets here

        await end_accepting(server)


async def main() -> None:
    """Serve until killed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--host", default="0.0.0.0")
    parser.add_argument("--port", type=int, default=8080)
    arguments = parser.parse_args()
    async with vendors(arguments.host, arguments.port):
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main())
