"""The agent API, port 8081: an agent pod fetches its task here and sends its records. Any replica serves any run of its scope."""

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import cast

from pydantic import ValidationError
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sympozium_api import agent_protocol, agent_records, effective, names, terminal_status
from sympozium_api.agent_protocol import END_RECORDS
from sympozium_api.agent_records import End
from sympozium_api.client import ApiError, ApiUnavailable
from sympozium_api.clock import Clock
from sympozium_api.instance import SympoziumInstance
from sympozium_api.model_targets import ModelsUnresolved
from sympozium_api.run import AgentRun
from sympozium_api.run_steps import steps_of
from sympozium_api.terminal_status import Ending
from sympozium_http import disconnect
from sympozium_http.internal_error import InternalErrorAnswer
from sympozium_http.tracing import Tracing
from sympozium_runs import agent_api_errors, agent_task, long_answers, long_questions, pod_access_log, stored_end
from sympozium_runs.agent_api_metrics import AgentApiMetrics
from sympozium_runs.broker import Publisher, RunBroker
from sympozium_runs.claims import bind_if_first
from sympozium_runs.idle_pods import POLL_SECONDS, Binding, IdlePods, Poll, Unbound
from sympozium_runs.long_answers import LongAnswers
from sympozium_runs.long_questions import LOST, LongQuestions, PartsLost, TaskResponse
from sympozium_runs.pod_access_log import PodAccessLog
from sympozium_runs.pod_identity import Pod, PodTokens
from sympozium_runs.pod_records import PodRecords
from sympozium_runs.run_bounds import PolicyRefused
from sympozium_runs.run_store import RunStore
from sympozium_runs.stored_end import OtherPodsRun, StoredEnd

InstanceReader = Callable[[str, str], Awaitable[SympoziumInstance]]
"""Reads an instance by namespace and name; may raise ApiError and ApiUnavailable."""


class AgentApi:
    """The handlers of the agent API.

    Errors: 401 and 403 for an unknown pod, 404 no such run, 409 another pod sends this run's records, 410 the run has ended or
    is cancelled, 413 and 422 an unreadable record, 503 the API server is unreachable, or the key of the pod's token is not known yet.
    The handlers fill in the request's ``PodRequestState`` for the log and the trace.
    """

    def __init__(
        self,
        store: RunStore,
        broker: RunBroker,
        tokens: PodTokens,
        clock: Clock,
        *,
        metrics: AgentApiMetrics,
        instance: InstanceReader,
        idle: IdlePods | None,
        store_wait_seconds: float,
    ) -> None:
        self._store = store
        self._questions = LongQuestions(store, clock)
        self._long_answers = LongAnswers(broker.budget)
        self._instance = instance
        self._broker = broker
        self._tokens = tokens
        self._clock = clock
        self._metrics = metrics
        self._idle = idle
        self._store_wait_seconds = store_wait_seconds

    def routes(self) -> list[Route]:
        """Return the five routes of a pod, and health."""
        return [
            Route("/instances/{name}/prospect", self.warmup_hints, methods=["GET"]),
            Route("/instances/{name}/task", self.poll_task, methods=["GET"]),
            Route("/runs/{name}/task", self.task, methods=["GET"]),
            Route("/runs/{name}/events", self.events, methods=["POST"]),
            Route("/runs/{name}/release", self.release, methods=["POST"]),
            Route("/healthz", _health, methods=["GET"]),
        ]

    async def task(self, request: Request) -> Response:
        """GET /runs/{name}/task: the task of the pod's run."""
        run, pod = await self._authorize(request)
        if run.ended or run.spec.cancel:
            raise HTTPException(410, "the run has ended or is cancelled")
        instance = await self._instance(run.metadata.namespace, run.spec.agent_ref)
        return await self._task_response(run, instance, pod)

    async def poll_task(self, request: Request) -> Response:
        """GET /instances/{name}/task: an idle pod's long poll for the task of the run that it is bound to.

        204: no run so far, poll again. 410: the pod will get no run. ``?lost``: the pod's last poll was cut off, and may have
        been answered.
        """
        pod, idle = await self._authorize_idle(request)
        with idle.poll(pod.name) as poll, disconnect.calls(request.receive, poll.disconnect):
            if "lost" not in request.query_params or not await self._bind_again(idle, poll, pod.namespace):
                idle.make_claimable(poll)
            answer = await poll.wait(POLL_SECONDS)
        if not isinstance(answer, Binding):
            return Response(status_code=204 if answer is Unbound.POLL_AGAIN else 410)
        pod_access_log.state_of(request).run = answer.run.without_contents()
        return await self._task_response(answer.run, answer.instance, pod, surface=answer.surface(idle.address))

    async def warmup_hints(self, request: Request) -> Response:
        """GET /instances/{name}/prospect: what an idle pod may prepare for. 410: the pod's generation is outdated."""
        pod, idle = await self._authorize_idle(request)
        if not idle.is_current(pod.name):
            raise HTTPException(410, "idle pods of this generation are outdated")
        idle.on_start()
        instance = await self._instance(pod.namespace, request.path_params["name"])
        try:
            return JSONResponse(agent_task.warmup_hints(instance, await self._store.documents.of(instance)))
        except ModelsUnresolved as failure:
            raise HTTPException(503, str(failure)) from failure

    async def events(self, request: Request) -> Response:
        """POST /runs/{name}/events: the pod's records, one JSON object per line, in one open request."""
        turn = self._long_answers.turn()
        records = PodRecords(request, self._clock, turn)
        run, pod = await self._authorize(request)
        run = run.without_contents()
        if run.status.pod_name not in (None, pod.name):
            raise HTTPException(409, "another pod sends this run's records")
        publisher = self._broker.open_publisher(run.key, pod.name, keeps_history=run.is_resumable)
        if publisher is None:
            raise HTTPException(409, "another pod sends this run's records")
        try:
            end, size = await self._publish_until_end(run, records, publisher)
            ending = await long_answers.ending(end, size) if end else None
            stored = await self._store_and_publish(run, pod, ending, records, publisher) if ending else None
        except ClientDisconnect:
            return Response(status_code=400)  # nobody reads it: the pod reconnects, here or elsewhere
        finally:
            publisher.close()
            turn.give_back()
        if stored is None:
            return JSONResponse({"stored": False})
        if not stored.is_own:
            raise HTTPException(410, "the run had already ended otherwise")
        self._metrics.count_end(run, stored.record, streamed=records.tokens, steps=steps_of(end and end.get("steps")))
        return JSONResponse({"stored": True})

    async def release(self, request: Request) -> Response:
        """POST /runs/{name}/release: a claimed pod that is to go gives its run back before it has asked the model.

        The run then starts cold. 409: the run has ended, is cancelled, or was recorded as this pod's.
        """
        run, pod = await self._authorize(request)
        can_start = run.claimed_pod == pod.name and not run.ended and not run.spec.cancel
        if not can_start or not await self._store.decide_start(run, "cold"):
            raise HTTPException(409, "the run cannot start in another pod")
        return JSONResponse({"released": True})

    async def _store_and_publish(
        self, run: AgentRun, pod: Pod, end: Ending, records: PodRecords, publisher: Publisher
    ) -> StoredEnd:
        """Store a run's end, and tell its callers what is stored (decision 0042).

        Where that takes longer than ``store_wait_seconds`` for each write, because the API server is away, callers are told
        before. An answer that the API server refuses for good is told as an error; of a run that is another pod's by now, nothing
        is told. Raises OtherPodsRun, ApiError, ApiUnavailable.
        """
        writes = 1 + (len(end.answer.parts) if end.answer else 0)
        publisher.publish_later(end.record, end.size, writes * self._store_wait_seconds)
        try:
            stored = await self._store.end(
                run,
                pod.name,
                end,
                began=records.began,
                first_token_at=records.first_token_at,
                model=await self._model(run),
            )
        except OtherPodsRun:
            publisher.withdraw_end()
            raise
        except ApiError as refusal:
            if refusal.final:
                self._metrics.refused_writes.labels("end").inc()
                publisher.publish(stored_end.refused(refusal, end.record))
            raise
        publisher.publish(stored.record, stored.size)
        return stored

    async def _authorize(self, request: Request) -> tuple[AgentRun, Pod]:
        """Return the run in the path and the calling pod, once the pod is known to be of that run's Job."""
        pod = await self._tokens.caller(request)
        key = (pod.namespace, request.path_params["name"])
        run = self._broker.remembered(key)
        if run is None or not run.is_assigned_to(pod.name):  # the pod of a run may have changed since
            run = await self._store.head(*key)
            self._broker.remember(run.without_contents())
        pod_access_log.state_of(request).run = run.without_contents()
        account = names.agent_service_account(run.spec.agent_ref)
        if not run.is_assigned_to(pod.name) or pod.service_account != account:
            raise HTTPException(403, "the token is of a pod that is not of this run's Job")
        return run, pod

    async def _authorize_idle(self, request: Request) -> tuple[Pod, IdlePods]:
        """Return the calling pod, once it is known to be an idle pod of the instance in the path, and the idle pods here."""
        pod = await self._tokens.caller(request)
        account = names.agent_service_account(request.path_params["name"])
        if names.idle_generation(pod.name) is None or pod.service_account != account:
            raise HTTPException(403, "the token is not of an idle pod of this instance")
        if self._idle is None:
            raise HTTPException(404, "idle pods poll their instance's web endpoint")
        return pod, self._idle

    async def _bind_again(self, idle: IdlePods, poll: Poll, namespace: str) -> bool:
        """Bind a pod to the run that names it, if another replica's answer was lost on its way. Return False where no run names it.

        On ApiError and ApiUnavailable the pod gets an error and polls again, because it has no other task.
        """
        key = await idle.run_of(poll.pod)
        if key is None:
            return False
        run = await self._store.head(*key)
        if run.claimed_pod != poll.pod or run.ended or run.spec.cancel:
            poll.discard()
        else:
            await bind_if_first(self._store, poll, run, await self._instance(namespace, run.spec.agent_ref))
        return True

    async def _task_response(
        self, run: AgentRun, instance: SympoziumInstance, pod: Pod, *, surface: str | None = None
    ) -> Response:
        if (conflict := effective.claim_conflict(run)) is not None:
            raise await self._fail(run, pod, agent_protocol.error_of("unsupported_parameter", conflict, 400))
        headers = self._broker.caller_headers.of(run.key) or {}
        if names.ANNOTATION_FORWARDS in run.metadata.annotations and not headers:
            end = agent_protocol.error(
                "caller_lost", "The web-proxy that held the caller's headers for the model is gone.", 502
            )
            raise await self._fail(run, pod, end)
        skills = await self._store.skills(instance)
        if skills is None:
            raise await self._without_skills(run, pod, instance)
        document = await self._store.documents.of(instance)
        try:
            async with self._questions.of(run) as (whole, on_sent):
                make = partial(agent_task.content, whole, instance, skills, document, headers=headers, surface=surface)
                content = await long_questions.made(make, whole)
                self._broker.drop_question(run.key)
                return TaskResponse(content, on_sent)
        except agent_task.FAILURES as failure:
            if isinstance(failure, PolicyRefused):
                self._metrics.denied.labels(failure.kind).inc()
            raise await self._fail(run, pod, agent_task.end_of(failure)) from failure
        except PartsLost as failure:
            raise await self._fail(run, pod, LOST) from failure

    async def _without_skills(self, run: AgentRun, pod: Pod, instance: SympoziumInstance) -> HTTPException:
        """Return the error for a pod whose skills are missing: 503 while the operator gathers them, else the run fails."""
        refusal = next((c for c in instance.status.conditions if c.type == "Accepted" and c.status == "False"), None)
        if refusal is None:
            return HTTPException(503, "the instance's skills are being gathered")
        return await self._fail(run, pod, agent_protocol.error_of("skills_missing", refusal.message, 503))

    async def _fail(self, run: AgentRun, pod: Pod, end: agent_records.Error) -> HTTPException:
        """Store the failure of a run that no pod can work on, and return the error for the pod."""
        ending = terminal_status.ending_of(end)
        stored = await self._store.end(run, pod.name, ending, began=self._clock.now())
        if stored.is_own:
            self._metrics.count_end(run, stored.record)
        return HTTPException(410, end["error"]["message"])

    async def _model(self, run: AgentRun) -> str | None:
        """Return the name of the run's model, from the instance; None if it cannot be read."""
        try:
            return effective.model(await self._instance(run.metadata.namespace, run.spec.agent_ref), run).name
        except (ApiError, ApiUnavailable, ValidationError):
            return None

    async def _publish_until_end(
        self, run: AgentRun, records: PodRecords, publisher: Publisher
    ) -> tuple[End | None, int]:
        """Publish records as they arrive. Return the end record and its bytes, or None when the request ends without one."""
        try:
            async with asyncio.timeout(None) as until_stopped:
                with publisher.calling_on_stop(lambda: until_stopped.reschedule(0)):
                    async for record, size in records.read():
                        if record["type"] in END_RECORDS:
                            return cast(End, record), size
                        publisher.publish(record, size)
        except TimeoutError as stopped:
            if not self._broker.is_ending(run.key):  # an end elsewhere is counted there
                self._metrics.count_cut(run, records.tokens)
            raise HTTPException(410, "the run is cancelled") from stopped
        return None, 0


async def _health(_: Request) -> Response:
    return JSONResponse({"status": "ok"})


def create_agent_api(
    store: RunStore,
    broker: RunBroker,
    tokens: PodTokens,
    clock: Clock,
    *,
    instance: InstanceReader | None = None,
    metrics: AgentApiMetrics | None = None,
    tracing: Tracing | None = None,
    idle: IdlePods | None = None,
    store_wait_seconds: float = 1.0,
) -> Starlette:
    """Return the ASGI application of port 8081.

    ``instance`` reads a run's instance; the default asks the API server. ``idle`` are the idle pods that poll here; None where
    none do. ``store_wait_seconds``: time after which callers are told an end that could not be stored so far.
    """
    reader, metrics = instance or store.instance, metrics or AgentApiMetrics()
    api = AgentApi(
        store, broker, tokens, clock, metrics=metrics, instance=reader, idle=idle, store_wait_seconds=store_wait_seconds
    )
    layers = [
        Middleware(PodAccessLog, metrics=metrics, tracing=tracing or Tracing()),
        Middleware(InternalErrorAnswer, answer=agent_api_errors.internal_error),
    ]
    return Starlette(routes=api.routes(), exception_handlers=agent_api_errors.HANDLERS, middleware=layers)
