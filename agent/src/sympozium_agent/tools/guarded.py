"""Tools that the egress guard carries out: one request per call, with the pod's own token."""

from __future__ import annotations

import json

from sympozium_agent.log import log
from sympozium_agent.loop import ToolResult
from sympozium_agent.transport.errors import TransportError
from sympozium_agent.transport.http1 import open_request
from sympozium_agent.waiting import DeadlineExceeded
from sympozium_api.json_members import compact, join_members

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
"""Seconds between the attempts of a call: of a 503 nothing has left, and a broken one repeats its id."""
_TOO_LARGE = 413
_REASONS = {
    401: "the agent may not call tools",
    403: "the agent may not call tools of this run",
    404: "the agent has no such tool any more",
    410: "the run has ended or is cancelled",
    _TOO_LARGE: "the arguments are too long",
    503: "tools cannot be called at the moment",
}


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
        except DeadlineExceeded:
            scope.check()
            return ToolResult(f"the tool did not answer within {call.tool['timeoutMs']} ms", is_error=True)

    def _answered(self, url: str, body: bytes, scope: Scope) -> HttpResponse | None:
        """Return the guard's answer; None if it cannot be reached."""
        response = self._post(url, body, scope)
        for pause in _PAUSES:
            if response is not None and response.status != 503:
                break
            log("tool_call_repeated", status=response.status if response else None)
            scope.sleep(pause)
            response = self._post(url, body, scope)
        return response

    def _post(self, url: str, body: bytes, scope: Scope) -> HttpResponse | None:
        headers = {
            "authorization": f"Bearer {self._token()}",
            "content-type": "application/json",
            "content-length": str(len(body)),
        }
        try:
            with open_request("POST", url, headers, scope, connect_timeout=_CONNECT_SECONDS) as request:
                request.send(body)
                request.finish()
                return request.response(scope)
        except TransportError:
            return None


def _result(response: HttpResponse | None) -> ToolResult:
    if response is None:
        return ToolResult("the egress guard, which calls tools, cannot be reached", is_error=True)
    if response.status != 200:
        reason = _REASONS.get(response.status, f"the egress guard answered {response.status}")
        return ToolResult(f"the call was not made: {reason}", is_error=True)
    try:
        answer: Any = json.loads(response.body)
        text, is_error = answer["result"], answer["isError"]
    except (ValueError, RecursionError, TypeError, KeyError):
        text = None
    if not isinstance(text, str) or not isinstance(is_error, bool):
        return ToolResult("the egress guard's answer is malformed", is_error=True)
    return ToolResult(text, is_error)
