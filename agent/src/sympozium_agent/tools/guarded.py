"""Tools that the egress guard carries out: one request per call, with the pod's own token."""

from __future__ import annotations

import json
from itertools import chain, repeat

from sympozium_agent.log import log
from sympozium_agent.loop import ToolResult
from sympozium_agent.transport.errors import AnswerTooLarge, TransportError
from sympozium_agent.transport.http1 import open_request
from sympozium_agent.waiting import DeadlineExceeded
from sympozium_api.json_members import compact, join_members
from sympozium_api.tool_output import MAX_ANSWER_BYTES, NOT_MADE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from sympozium_agent.loop import ToolCall
    from sympozium_agent.transport.http1 import HttpResponse
    from sympozium_agent.waiting import Scope

_CONNECT_SECONDS = 2.5
_GRACE_SECONDS = 5.0
"""Time of a request beyond the tool's own, in which the guard says that it is over."""
_PAUSES = (0.1, 0.3, 1.0, 2.0)
"""Seconds between the attempts of a call, of which the last one is repeated while there is time: a guard that was killed comes back."""
_MOST_BROKEN = 3
"""Attempts whose connection breaks once the call is sent. Nothing of the others has left. All have the same id."""
_UNAVAILABLE = 503
_REASONS = {
    401: "the agent may not call tools",
    403: "the agent may not call tools of this run",
    404: "the agent has no such tool any more",
    410: "the run has ended or is cancelled",
    413: "the arguments are too long",
    _UNAVAILABLE: "tools cannot be called at the moment",
}


class _Broken(Exception):
    """A connection that broke after the request was sent."""


class GuardedTool:
    """Caller of one run's tools. ``token`` returns the pod's bearer token."""

    def __init__(self, run: str, token: Callable[[], str]) -> None:
        self._run = run
        self._token = token

    def call(self, call: ToolCall, scope: Scope) -> ToolResult:
        """Carry out a call; what fails is told in the result. Raises what the scope raises."""
        if call.tool is None:
            return ToolResult("there is no tool of this name", is_error=True)
        url = f"{call.tool['baseUrl'].rstrip('/')}/runs/{self._run}/tools/{call.function}"
        body = join_members({"id": compact(call.id), "arguments": compact(call.arguments)}).encode()
        limited = scope.within(call.tool["timeoutMs"] / 1000 + _GRACE_SECONDS)
        try:
            return _result(self._answered(url, body, limited))
        except AnswerTooLarge:
            return ToolResult("the egress guard's answer is too long", is_error=True)
        except DeadlineExceeded:
            scope.check()
            return ToolResult(f"the tool did not answer within {call.tool['timeoutMs']} ms", is_error=True)

    def _answered(self, url: str, body: bytes, scope: Scope) -> HttpResponse | None:
        """Return the guard's answer; None if it cannot be reached."""
        broken = 0
        for pause in chain(_PAUSES, repeat(_PAUSES[-1])):
            try:
                response = self._post(url, body, scope)
            except _Broken:
                response, broken = None, broken + 1
            is_final = response is not None and response.status != _UNAVAILABLE
            if is_final or broken == _MOST_BROKEN or scope.remaining() <= pause:
                return response
            log("tool_call_repeated", status=response.status if response else None)
            scope.sleep(pause)
        return None

    def _post(self, url: str, body: bytes, scope: Scope) -> HttpResponse | None:
        """Send the call; None if there is no connection. Raises _Broken."""
        headers = {
            "authorization": f"Bearer {self._token()}",
            "content-type": "application/json",
            "content-length": str(len(body)),
        }
        try:
            request = open_request("POST", url, headers, scope, connect_timeout=_CONNECT_SECONDS)
        except TransportError:
            return None
        try:
            with request:
                request.send(body)
                request.finish()
                return request.response(scope, most_bytes=MAX_ANSWER_BYTES)
        except AnswerTooLarge:
            raise
        except TransportError as failure:
            raise _Broken from failure


def _result(response: HttpResponse | None) -> ToolResult:
    if response is None:
        return ToolResult("the egress guard, which calls tools, cannot be reached", is_error=True)
    if response.status != 200:
        reason = _REASONS.get(response.status, f"the egress guard answered {response.status}")
        return ToolResult(f"{NOT_MADE}{reason}", is_error=True)
    try:
        answer: Any = json.loads(response.body)
        text, is_error = answer["result"], answer["isError"]
    except (ValueError, RecursionError, TypeError, KeyError):
        text = None
    if not isinstance(text, str) or not isinstance(is_error, bool):
        return ToolResult("the egress guard's answer is malformed", is_error=True)
    return ToolResult(text, is_error)
