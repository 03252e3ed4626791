"""POST /v1/embeddings: forwarded to the model server, without a run and without a pod."""

import asyncio
import re
import time
from collections.abc import Mapping
from functools import partial

import structlog
from fastapi import APIRouter, Request, Response
from starlette.types import Receive, Scope, Send

from sympozium_api import model_targets
from sympozium_api.base import seconds
from sympozium_api.client import ApiUnavailable
from sympozium_api.instance import SympoziumInstance
from sympozium_api.model_targets import ModelsUnresolved
from sympozium_api.resolved_model import ResolvedModel
from sympozium_http import disconnect, raw_response, request_state
from sympozium_http.refusal import Refusal
from sympozium_openai import bodies, embeddings, errors
from sympozium_runs.model_choice import chosen_embedding_model
from sympozium_webproxy import context, upstream
from sympozium_webproxy.request.authentication import authenticate, limit
from sympozium_webproxy.request.body import read_json_bytes
from sympozium_webproxy.request.deadline import wait_seconds
from sympozium_webproxy.request.start import api_away

log = structlog.get_logger()

router = APIRouter()

_USAGE_BYTES = 512
"""Bytes at the end of an answer, or at its beginning (llama.cpp), in which its usage stands."""
_calls: set[asyncio.Task[None]] = set()
"""Calls to model servers that may outlive their requests: the event loop itself holds no reference to them."""
_TOTAL_TOKENS = re.compile(rb'"total_tokens"\s*:\s*([0-9]{1,12})\s*[,}]')


@router.post("/v1/embeddings", openapi_extra=bodies.documented(embeddings.EmbeddingRequest))
async def create_embeddings(request: Request) -> Response:
    """Return vectors of texts from the instance's model server."""
    key_id = await authenticate(request)
    content = await read_json_bytes(request)
    served, headers = limit(request, key_id)
    params, body = embeddings.parse(content)
    model = chosen_embedding_model(served.instance, params.model)
    server = await _server(request, served.instance)
    others = {name: value for name, value in body.items() if name != "model"}
    with api_away():
        instance = await context.of(request).runs.policies.admitted(served.instance, model)
    longest = float(seconds(instance.spec.agents.default.run_timeout))
    timeout_seconds = min(wait_seconds(request) or longest, longest)
    return _ForwardedResponse(
        request,
        instance,
        server,
        {**others, "model": model},
        headers,
        timeout_seconds=timeout_seconds,
        longest_seconds=longest,
    )


async def _server(request: Request, instance: SympoziumInstance) -> ResolvedModel:
    """Return the instance's own model, whose server has the embeddings too. Raises Refusal."""
    try:
        document = await context.of(request).documents.of(instance)
        server = model_targets.of_instance(instance, document)[0]
    except (ModelsUnresolved, ApiUnavailable):
        message = "The instance's model is being resolved; its condition ModelReady has the details."
        raise Refusal(503, "model_not_ready", message, retry_after=1) from None
    upstream.refuse_other_dialects(server)
    return server


class _ForwardedResponse(Response):
    """The model server's response, forwarded in pieces as they come.

    A client disconnect ends the call, unless the key has a budget: its usage stands in the answer, whoever reads that.
    """

    def __init__(
        self,
        request: Request,
        instance: SympoziumInstance,
        server: ResolvedModel,
        body: dict[str, object],
        headers: Mapping[str, str],
        *,
        timeout_seconds: float,
        longest_seconds: float,
    ) -> None:
        """``timeout_seconds``: the caller's wait; ``longest_seconds``: the call's own bound."""
        super().__init__()
        self._began = request_state.of(request).started
        self._settings = context.of(request).settings
        self._server = server
        budgets, key_id = context.of(request).budgets, request_state.of(request).caller
        self._is_budgeted = budgets.verdict(key_id) is not None
        self._count_tokens = partial(budgets.count, key_id)
        self._instance = instance
        self._body = body
        self._own_headers = headers
        self._timeout_seconds = timeout_seconds
        self._longest_seconds = longest_seconds
        self._started = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 - ASGI
        """Answer as an ASGI application."""
        if not self._is_budgeted:
            async with disconnect.cancels(receive):
                await self._answer(send, self._timeout_seconds)
            return
        caller = disconnect.CallerSend(send)
        with disconnect.calls(receive, caller.leave):
            await self._answer_to_the_end(send, caller)

    async def _answer_to_the_end(self, send: Send, caller: disconnect.CallerSend) -> None:
        """Read the model server's answer to its end, also after the caller's disconnect or deadline.

        A deadline that passes during the answer closes the caller's connection, and the call goes on without a request.
        """
        call = asyncio.create_task(self._answer(caller, self._longest_seconds))
        _calls.add(call)
        call.add_done_callback(_calls.discard)
        try:
            await asyncio.wait({call}, timeout=self._timeout_seconds)
            if not call.done():
                caller.leave()  # before the refusal, so that no piece of the answer gets into it
                if self._started:
                    return
                await self._refuse(disconnect.CallerSend(send), _too_late(self._timeout_seconds))
            await call
        except BaseException:
            call.cancel()
            raise

    async def _answer(self, send: Send, timeout_seconds: float) -> None:
        try:
            async with asyncio.timeout(timeout_seconds):
                await self._forward(send)
        except (Refusal, TimeoutError) as failure:
            if self._started:
                log.warning("embeddings cut off", reason=str(failure) or type(failure).__name__)
                return  # the server closes the connection before the response's end, so that no caller takes it for complete
            await self._refuse(send, failure if isinstance(failure, Refusal) else _too_late(timeout_seconds))

    async def _refuse(self, send: Send, refusal: Refusal) -> None:
        self._started = True
        headers = {**self._own_headers, **refusal.headers}
        await raw_response.send_json(send, refusal.status, errors.render(refusal), headers)

    async def _forward(self, send: Send) -> None:
        files = self._settings
        credentials = upstream.Credentials.of(
            self._server, files.provider_keys, files.provider_folder, files.header_folder
        )
        async with upstream.post(self._instance, self._server, "embeddings", self._body, credentials) as answer:
            headers = {
                **self._own_headers,
                "content-type": answer.headers.get("content-type", "application/json"),
                "openai-processing-ms": str(round((time.monotonic() - self._began) * 1000)),
            }
            if not self._started:  # else the caller has had its refusal
                self._started = True
                await raw_response.start(send, 200, headers)
            head, tail = b"", b""
            try:
                async for piece in answer.content.iter_any():
                    head += piece[: _USAGE_BYTES - len(head)]
                    tail = (tail + piece)[-_USAGE_BYTES:]
                    await raw_response.send_piece(send, piece)
            finally:  # also for a client that leaves as soon as it has the vectors
                if counts := _TOTAL_TOKENS.findall(tail) or _TOTAL_TOKENS.findall(head):
                    self._count_tokens(int(counts[-1]))
        await raw_response.finish(send)


def _too_late(seconds: float) -> Refusal:
    return Refusal(504, "deadline_exceeded", f"The model server did not answer within {seconds:g} s.")
