"""The runs surface, port 8081: a pod fetches its task here and brings its records. Any replica serves any run of its scope."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, cast

from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sympozium_api import agent_protocol, effective, names
from sympozium_api.agent_protocol import END_RECORDS, MAX_RECORD_BYTES, End, Record
from sympozium_api.client import ApiError, ApiUnavailable
from sympozium_api.clock import Clock
from sympozium_api.instance import SympoziumInstance
from sympozium_api.run import AgentRun
from sympozium_http import disconnect
from sympozium_http.internal_error import InternalErrorAnswer
from sympozium_http.tracing import Tracing
from sympozium_runs import pod_access_log, task
from sympozium_runs.agent_api_metrics import AgentApiMetrics
from sympozium_runs.broker import Publisher, RunBroker
from sympozium_runs.idle_pods import POLL_SECONDS, Given, IdlePods, NotGiven, Poll
from sympozium_runs.pod_access_log import PodAccessLog
from sympozium_runs.pod_identity import Forbidden, Pod, PodTokens
from sympozium_runs.run_store import RunStore

InstanceReader = Callable[[str, str], Awaitable[SympoziumInstance]]
"""Namespace and name; may raise ApiError and ApiUnavailable."""


class AgentApi:
    """The handlers. What they answer: 401 and 403 for whom they do not know, 404 no such run, 409 another pod speaks for it,
    410 it has ended or is to end, 413 and 422 a record that cannot be read, 503 the API server is away.

    They note the pod and its run in the request's state, and the reason of a refusal, for the log and the trace.
    """

    def __init__(
        self,
        store: RunStore,
        board: RunBroker,
        tokens: PodTokens,
        clock: Clock,
        *,
        metrics: AgentApiMetrics,
        instance: InstanceReader,
        idle: IdlePods | None,
    ) -> None:
        self._store = store
        self._instance = instance
        self._board = board
        self._tokens = tokens
        self._clock = clock
        self._metrics = metrics
        self._idle = idle

    def routes(self) -> list[Route]:
        """The four routes of a pod, health and metrics."""
        return [
            Route("/instances/{name}/prospect", self.prospect, methods=["GET"]),
            Route("/instances/{name}/task", self.any_task, methods=["GET"]),
            Route("/runs/{name}/task", self.task, methods=["GET"]),
            Route("/runs/{name}/events", self.events, methods=["POST"]),
            Route("/healthz", _healthy, methods=["GET"]),
            Route("/metrics", self.show_metrics, methods=["GET"]),
        ]

    async def task(self, request: Request) -> Response:
        """GET /runs/{name}/task: what the pod is to do."""
        run, pod = await self._admit(request)
        if run.ended or run.spec.cancel:
            raise HTTPException(410, "the run has ended or is cancelled")
        instance = await self._instance(run.metadata.namespace, run.spec.agent_ref)
        return await self._told(run, instance, pod)

    async def any_task(self, request: Request) -> Response:
        """GET /instances/{name}/task: what an idle pod is to do, as soon as a run is given to it. 204: nothing so far; 410: it is
        not wanted any more. ``?lost``: its last poll was cut off, and may have been answered.
        """
        pod, idle = await self._admit_idle(request)
        with idle.poll(pod.name) as poll, disconnect.calls(request.receive, poll.leave):
            if "lost" not in request.query_params or not await self._given_again(idle, poll, pod.namespace):
                idle.offer(poll)
            found = await poll.wait(POLL_SECONDS)
        if not isinstance(found, Given):
            return Response(status_code=204 if found is NotGiven.AGAIN else 410)
        pod_access_log.state_of(request).run = found.run
        return await self._told(found.run, found.instance, pod, surface=idle.address)

    async def prospect(self, request: Request) -> Response:
        """GET /instances/{name}/prospect: what an idle pod may prepare for. 410: for nothing, it is of another generation."""
        pod, idle = await self._admit_idle(request)
        if not idle.wants(pod.name):
            raise HTTPException(410, "pods of this generation are not wanted")
        return JSONResponse(task.prospect(await self._instance(pod.namespace, request.path_params["name"])))

    async def _admit_idle(self, request: Request) -> tuple[Pod, IdlePods]:
        """The idle pod of the instance in the path that asks, and those among whom it is."""
        pod = await self._tokens.caller(request)
        account = names.agent_service_account(request.path_params["name"])
        if names.idle_generation(pod.name) is None or pod.service_account != account:
            raise HTTPException(403, "the token is not of an idle pod of this instance")
        if self._idle is None:
            raise HTTPException(404, "idle pods wait at their instance's web endpoint")
        return pod, self._idle

    async def _given_again(self, idle: IdlePods, poll: Poll, namespace: str) -> bool:
        """Give a pod the run that another replica gave it, if the answer was lost on the way. The pod has no other task: it asks."""
        key = await idle.run_of(poll.pod)
        if key is None:
            return False
        run = await self._store.get(*key)
        if run.claimed_pod != poll.pod or run.ended or run.spec.cancel:
            poll.retire()
        elif await self._store.decide_start(run, {"start": "warm"}):
            poll.give(run, await self._instance(namespace, run.spec.agent_ref))
        else:
            poll.put_back()  # somebody said just now that it starts cold
        return True

    async def _told(
        self, run: AgentRun, instance: SympoziumInstance, pod: Pod, *, surface: str | None = None
    ) -> Response:
        headers = self._board.headers(run.key) or {}
        if names.ANNOTATION_FORWARDS in run.metadata.annotations and not headers:
            end = agent_protocol.error(
                "caller_lost", "the web-proxy that held the caller's headers for the model is gone", 502
            )
            raise await self._never(run, pod, end)
        skills = await self._store.skills(instance)
        if skills is None:
            raise await self._without_skills(run, pod, instance)
        try:
            found = task.build(run, instance, skills, seconds_left=float(effective.timeout(instance, run)))
            found["model"]["headers"] = headers | found["model"]["headers"]  # what the instance says of itself counts
            return JSONResponse(found | {"surface": surface} if surface else found)
        except task.NoPlace as failure:
            end = agent_protocol.error("unsupported_parameter", str(failure), 400)
            raise await self._never(run, pod, end) from failure

    async def events(self, request: Request) -> Response:
        """POST /runs/{name}/events: the pod's records, one JSON object per line, in one open request."""
        began = self._clock.now()
        run, pod = await self._admit(request)
        if run.status.pod_name not in (None, pod.name):
            raise HTTPException(409, "another pod speaks for this run")
        stream = self._board.open(run.key, pod.name)
        if stream is None:
            raise HTTPException(409, "another pod speaks for this run")
        try:
            end = await self._until_end(request, stream)
        except ClientDisconnect:
            return Response(status_code=400)  # nobody is there to read it: the pod will come back, here or elsewhere
        finally:
            stream.close()
        if end is None:
            return JSONResponse({"stored": False})
        if not await self._store.end(run, pod.name, end, began=began):
            raise HTTPException(410, "the run had ended otherwise")
        self._metrics.ended(run, end)
        return JSONResponse({"stored": True})

    async def show_metrics(self, _: Request) -> Response:
        """GET /metrics: nothing in them is secret, not even to a pod."""
        return Response(generate_latest(self._metrics.registry), media_type=CONTENT_TYPE_LATEST)

    async def _admit(self, request: Request) -> tuple[AgentRun, Pod]:
        """The run in the path and the pod that asks, once it is known to be of that run's Job."""
        pod = await self._tokens.caller(request)
        key = (pod.namespace, request.path_params["name"])
        run = self._board.noted(key)
        if run is None or not run.is_assigned_to(pod.name):  # which pod does a run may have changed since it was noted
            run = await self._store.get(*key)
        pod_access_log.state_of(request).run = run
        account = names.agent_service_account(run.spec.agent_ref)
        if not run.is_assigned_to(pod.name) or pod.service_account != account:
            raise HTTPException(403, "the token is of a pod that is not of this run's Job")
        return run, pod

    async def _without_skills(self, run: AgentRun, pod: Pod, instance: SympoziumInstance) -> HTTPException:
        """An agent does not work without what it was to know: it waits for the operator, or fails where that cannot help."""
        refusal = next((c for c in instance.status.conditions if c.type == "Accepted" and c.status == "False"), None)
        if refusal is None:
            return HTTPException(503, "the instance's skills are being gathered")
        return await self._never(run, pod, agent_protocol.error("skills_missing", refusal.message, 503))

    async def _never(self, run: AgentRun, pod: Pod, end: agent_protocol.Error) -> HTTPException:
        """The run can never be told to a pod: store that it has failed. What the pod is to be answered."""
        if await self._store.end(run, pod.name, end, began=self._clock.now()):
            self._metrics.ended(run, end)
        return HTTPException(410, end["error"]["message"])

    async def _until_end(self, request: Request, stream: Publisher) -> End | None:
        """Hand records on as they come, up to the end record; None when the request ends without one."""
        try:
            async with asyncio.timeout(None) as until_stopped:
                stream.on_stop(lambda: until_stopped.reschedule(0))
                async for record in _records(request):
                    stream.bring(record)
                    if record["type"] in END_RECORDS:
                        return cast(End, record)
        except TimeoutError as stopped:
            raise HTTPException(410, "the run is cancelled") from stopped
        return None


async def _records(request: Request) -> AsyncIterator[Record]:
    rest = b""
    async for chunk in request.stream():
        *lines, rest = (rest + chunk).split(b"\n")
        if len(rest) > MAX_RECORD_BYTES:
            raise HTTPException(413, f"a record is longer than {MAX_RECORD_BYTES} bytes")
        for line in lines:
            yield _record(line)
    if rest.strip():
        yield _record(rest)


def _record(line: bytes) -> Record:
    try:
        found: Any = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise HTTPException(422, "a record is not JSON") from error
    if not isinstance(found, dict) or not isinstance(found.get("type"), str):
        raise HTTPException(422, "a record is not an object with a type")
    return cast(Record, found)


async def _healthy(_: Request) -> Response:
    return JSONResponse({"status": "ok"})


async def _refused(request: Request, error: Exception) -> Response:
    """What went wrong, as a status that tells the pod whether to try again (503) or to give up."""
    match error:
        case HTTPException():
            status, message = error.status_code, error.detail
        case Forbidden():
            status, message = 401, str(error)
        case ApiError():
            status, message = (404, "no such run or instance") if error.not_found else (502, error.message)
        case _:
            status, message = 503, str(error)
    reason = error.reason if isinstance(error, ApiError) else message  # an ApiError's message may quote content
    pod_access_log.state_of(request).reason = reason
    return JSONResponse({"error": message}, status_code=status)


def _internal_error(_: Request) -> Response:
    return JSONResponse({"error": "internal error"}, status_code=500)


def create_agent_api(
    store: RunStore,
    board: RunBroker,
    tokens: PodTokens,
    clock: Clock,
    *,
    instance: InstanceReader | None = None,
    metrics: AgentApiMetrics | None = None,
    tracing: Tracing | None = None,
    idle: IdlePods | None = None,
) -> Starlette:
    """The ASGI application of port 8081.

    ``instance``: whoever knows a run's instance without asking the API server. ``idle``: where idle pods wait; None: not here.
    """
    reader, metrics = instance or store.instance, metrics or AgentApiMetrics()
    surface = AgentApi(store, board, tokens, clock, metrics=metrics, instance=reader, idle=idle)
    handlers: dict[Any, Any] = dict.fromkeys((HTTPException, Forbidden, ApiError, ApiUnavailable), _refused)
    layers = [
        Middleware(PodAccessLog, metrics=metrics, tracing=tracing or Tracing()),
        Middleware(InternalErrorAnswer, answer=_internal_error),
    ]
    return Starlette(routes=surface.routes(), exception_handlers=handlers, middleware=layers)
