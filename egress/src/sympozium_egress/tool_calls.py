"""The route ``POST /runs/{run}/tools/{function}``: who calls, what for, and the answer."""

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from sympozium_api.client import ApiError
from sympozium_api.run import AgentRun
from sympozium_api.tool_output import MAX_SENT_BYTES, cut
from sympozium_egress.grants import Grants, NoSuchTool, agent_account
from sympozium_egress.policy.call_body import MAX_BODY_BYTES, BadBody, ToolCall, parse_call
from sympozium_egress.policy.call_policy import CallRefused
from sympozium_egress.policy.held_bytes import HeldBytes, Hold, TooMuchHeld
from sympozium_egress.policy.tool_result import ToolResult
from sympozium_egress.tool_caller import ToolCaller
from sympozium_http.compact_json import json_bytes
from sympozium_http.json_body import NotJson, TooLarge, read_json_bytes
from sympozium_runs import pod_access_log
from sympozium_runs.pod_identity import PodTokens
from sympozium_runs.run_store import RunStore

_PARSED_TIMES = 4
"""Bytes of memory for each byte of a body, as text and parsed."""


class ToolCalls:
    """Handler of tool calls.

    Errors: 400 no call, 401 and 403 for an unknown pod, 404 no such run or function, 410 the run has ended or is cancelled, 413 a body
    above 256 KiB, 503 the API server is unreachable, or too much is held at the moment. A call that is refused or fails is a 200 with
    ``isError``, for the model.
    """

    def __init__(self, store: RunStore, tokens: PodTokens, grants: Grants, caller: ToolCaller, held: HeldBytes) -> None:
        self._store = store
        self._tokens = tokens
        self._grants = grants
        self._caller = caller
        self._held = held

    async def call(self, request: Request) -> Response:
        """Carry out one call of a run's pod."""
        run = await self._authorize(request)
        with self._held.part(run.metadata.namespace) as hold:
            call = await _call(request, hold)
            result = await self._result(run, request.path_params["function"], call)
        return Response(json_bytes(_rendered(result)), media_type="application/json")

    async def _result(self, run: AgentRun, function: str, call: ToolCall) -> ToolResult:
        try:
            grant = await self._grants.find(run, function)
        except NoSuchTool:
            raise HTTPException(404, "the agent has no such tool") from None
        except CallRefused as refusal:
            return self._caller.refuse(run, function, refusal)
        if run.ended or run.spec.cancel:
            raise HTTPException(410, "the run has ended or is cancelled")
        return await self._caller.call(run, grant, call)

    async def _authorize(self, request: Request) -> AgentRun:
        """Return the run in the path, once the calling pod is known to be its own."""
        pod = await self._tokens.caller(request)
        try:
            run = await self._store.head(pod.namespace, request.path_params["run"])
        except ApiError as error:
            if error.not_found:
                raise HTTPException(404, "no such run") from None
            raise
        run = run.without_contents()
        pod_access_log.state_of(request).run = run
        if not run.is_assigned_to(pod.name) or pod.service_account != agent_account(run):
            raise HTTPException(403, "the token is of a pod that is not of this run's Job")
        return run


def _rendered(result: ToolResult) -> dict[str, object]:
    return {"result": cut(result.text, MAX_SENT_BYTES), "isError": result.is_error}


async def _call(request: Request, hold: Hold) -> ToolCall:
    try:
        body = await read_json_bytes(request, limit=MAX_BODY_BYTES, on_bytes=lambda size: hold(_PARSED_TIMES * size))
        return parse_call(body)
    except TooMuchHeld:
        raise HTTPException(503, "too many calls at the moment") from None
    except TooLarge:
        raise HTTPException(413, f"the body is longer than {MAX_BODY_BYTES} bytes") from None
    except NotJson:
        raise HTTPException(400, "the content type is not application/json") from None
    except BadBody as error:
        raise HTTPException(400, str(error)) from None


async def refuse(request: Request, error: Exception) -> Response:
    """Return an error as ``{"error": text}``."""
    match error:
        case HTTPException():
            status, message = error.status_code, error.detail
        case ApiError():
            status, message = 502, "the cluster refuses a read that the call needs"
        case _:
            status, message = 503, "the cluster is not reachable at the moment"
    pod_access_log.state_of(request).reason = error.reason if isinstance(error, ApiError) else message
    return JSONResponse({"error": message}, status_code=status)
