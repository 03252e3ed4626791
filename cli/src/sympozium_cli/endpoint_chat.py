"""Answers from an instance's web endpoint, through ``kubectl port-forward``: token by token.

The API server's proxy of Services is no way, because it removes the header with the API key.
"""

import json
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import aiohttp

from sympozium_api.names import HTTP_PORT
from sympozium_cli.chat_events import ChatEvent, Ended, Message, Started, Text
from sympozium_cli.failures import ClusterAway, Failure
from sympozium_cli.kubectl import Kubectl, kubectl

_TIMEOUT = aiohttp.ClientTimeout(total=None, sock_connect=10)
"""An answer takes as long as the instance lets it take: its web endpoint ends it."""
_LINE = 16 * 1024 * 1024
"""Bytes of a line of the stream, above which it is no answer of ours."""


@dataclass(frozen=True)
class EndpointChat:
    """An agent, asked at its web endpoint."""

    session: aiohttp.ClientSession
    forward: Kubectl
    instance: str
    detour: str = ""

    async def ask(self, messages: Sequence[Message], model: str = "") -> AsyncGenerator[ChatEvent, None]:
        """Yield the events of one answer. Closing the connection ends the run.

        Raises Failure, and ClusterAway where the way has ended: another process of this machine could have its port, and get the key.
        """
        if self.forward.has_ended:
            raise ClusterAway(f"kubectl port-forward has ended: {self.forward.message or 'it said nothing'}")
        body = {"model": model or self.instance, "messages": list(messages), "stream": True}
        body["stream_options"] = {"include_usage": True}
        try:
            async with self.session.post("/v1/chat/completions", json=body) as response:
                if response.status != 200:
                    raise Failure(_message(await response.read(), f"the web endpoint answers {response.status}"))
                run = response.headers.get("x-sympozium-run", "")
                yield Started(run)
                reason, tokens = "", None
                async for chunk in _chunks(response.content):
                    if error := chunk.get("error"):
                        raise Failure(str(error.get("message") if isinstance(error, dict) else error))
                    for choice in chunk.get("choices") or ():
                        reason = choice.get("finish_reason") or reason
                        if text := (choice.get("delta") or {}).get("content"):
                            yield Text(text)
                    tokens = (chunk.get("usage") or {}).get("total_tokens", tokens)
                yield Ended(run, reason, tokens)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise ClusterAway(f"the connection to the web endpoint broke: {error or type(error).__name__}") from error


@asynccontextmanager
async def open_endpoint(
    kubectl_args: Sequence[str], namespace: str, service: str, instance: str, key: str
) -> AsyncIterator[EndpointChat]:
    """Open the way to an instance's web endpoint. Raises ClusterAway with kubectl's words if it does not let through."""
    words = ("port-forward", f"--namespace={namespace}", "--address=127.0.0.1", f"service/{service}", f":{HTTP_PORT}")
    async with kubectl(*kubectl_args, *words) as forward:
        line = await forward.first_line()  # Forwarding from 127.0.0.1:40123 -> 8080
        address = line.removeprefix("Forwarding from ").split(" ", 1)[0]
        headers = {"Authorization": f"Bearer {key}"}
        async with aiohttp.ClientSession(
            f"http://{address}", headers=headers, timeout=_TIMEOUT, read_bufsize=_LINE, trust_env=False
        ) as session:
            yield EndpointChat(session, forward, instance)


async def _chunks(content: aiohttp.StreamReader) -> AsyncGenerator[dict[str, Any], None]:
    """Yield the JSON objects of a stream of server-sent events. Raises Failure if it breaks off."""
    async for line in content:
        if not line.startswith(b"data:"):
            continue
        data = line[len(b"data:") :].strip()
        if data == b"[DONE]":
            return
        try:
            chunk = json.loads(data)
        except ValueError:
            raise Failure("the web endpoint sends what is no answer") from None
        if isinstance(chunk, dict):
            yield chunk
    raise Failure("the answer broke off")


def _message(content: bytes, default: str) -> str:
    try:
        error = json.loads(content)["error"]
    except (ValueError, LookupError, TypeError):
        return default
    message = error.get("message") if isinstance(error, dict) else error
    return str(message or default)
