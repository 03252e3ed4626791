"""HTTP responses that follow a run: one JSON body at its end, or server-sent events as its records come."""

import time
from abc import abstractmethod
from collections.abc import Callable, Mapping
from datetime import UTC
from email.utils import format_datetime
from typing import Any, Protocol

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from sympozium_api import names
from sympozium_api.agent_protocol import END_RECORDS
from sympozium_api.agent_records import Done, Record, ToolRecord
from sympozium_api.run import AgentRun
from sympozium_api.timestamps import parse_timestamp
from sympozium_http import disconnect, raw_response, sse
from sympozium_http.refusal import Refusal
from sympozium_openai import errors
from sympozium_runs.broker import ClientDisconnected
from sympozium_runs.run_failure import refusal_of
from sympozium_runs.runs import RunHandle


def run_headers(run: AgentRun) -> dict[str, str]:
    """Return the headers that name a run and, if it has an Idempotency-Key, the time until which the key stands."""
    headers = {"x-sympozium-run": run.metadata.name}
    try:
        expires = parse_timestamp(run.metadata.annotations[names.ANNOTATION_KEY_EXPIRES])
        headers["x-sympozium-idempotency-expires"] = format_datetime(expires.astimezone(UTC), usegmt=True)
    except (KeyError, ValueError):
        pass  # no key, or a run that another program created
    return headers


class RunResponse(Response):
    """Response that follows a run to its end. A client disconnect cancels the run (rule 7)."""

    def __init__(self, handle: RunHandle, headers: Mapping[str, str], *, began: float) -> None:
        super().__init__()
        self._handle = handle
        self._own_headers = dict(headers)
        self._began = began

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 - ASGI
        """Answer as an ASGI application."""
        try:
            with disconnect.calls(receive, self._handle.disconnect):
                await self._answer(send)
        except ClientDisconnected:
            pass  # the client is gone; closing the handle cancels the run
        finally:
            self._handle.close()

    @abstractmethod
    async def _answer(self, send: Send) -> None:
        """Send the whole response."""

    def _answer_headers(self, headers: Mapping[str, str]) -> dict[str, str]:
        elapsed = {"openai-processing-ms": str(round((time.monotonic() - self._began) * 1000))}
        return {**self._own_headers, **elapsed, **headers}

    async def _send_error(self, send: Send, refusal: Refusal) -> None:
        await raw_response.send_json(
            send, refusal.status, errors.render(refusal), self._answer_headers(refusal.headers)
        )


class WholeResponse(RunResponse):
    """One JSON body at the run's end, made by ``render``."""

    def __init__(
        self, handle: RunHandle, render: Callable[[Done], dict[str, Any]], headers: Mapping[str, str], *, began: float
    ) -> None:
        super().__init__(handle, headers, began=began)
        self._render = render

    async def _answer(self, send: Send) -> None:
        end = await self._handle.end()
        if end["type"] == "done":
            await raw_response.send_json(send, 200, self._render(end), self._answer_headers({}))
        else:
            await self._send_error(send, refusal_of(end["error"]))


class Frames(Protocol):
    """Translation of a run's records into the frames of a stream."""

    def opening(self) -> bytes | None:
        """Return what is sent before any record; None to send nothing, so that an error can still have its own status."""

    def of(self, record: Record | None) -> bytes:
        """Return the frames of a record, or of silence."""


def tool_comment(record: ToolRecord) -> bytes:
    """Return the comment of a stream that says which tool the agent calls; nothing at the call's end."""
    return sse.comment(f"tool {record['function']} started") if record["state"] == "started" else b""


class StreamedResponse(RunResponse):
    """Frames as the model's pieces come. Until the first frame or keep-alive an error still has its own status."""

    def __init__(
        self,
        handle: RunHandle,
        frames: Frames,
        headers: Mapping[str, str],
        *,
        began: float,
        keep_alive_seconds: float,
    ) -> None:
        super().__init__(handle, headers, began=began)
        self._frames = frames
        self._keep_alive_seconds = keep_alive_seconds
        self._streaming = False

    async def _answer(self, send: Send) -> None:
        if (opening := self._frames.opening()) is not None:
            await self._send_frames(send, opening)
        while True:
            record = await self._handle.next(self._keep_alive_seconds)
            if record and record["type"] == "error" and not self._streaming:
                await self._send_error(send, refusal_of(record["error"]))
                return
            is_last = record is not None and record["type"] in END_RECORDS
            if (frames := self._frames.of(record)) or is_last:
                await self._send_frames(send, frames, is_last=is_last)
            if is_last:
                return

    async def _send_frames(self, send: Send, frames: bytes, *, is_last: bool = False) -> None:
        if not self._streaming:
            self._streaming = True
            await raw_response.start(send, 200, self._answer_headers(sse.HEADERS))
        send_body = raw_response.finish if is_last else raw_response.send_piece
        await send_body(send, frames)
