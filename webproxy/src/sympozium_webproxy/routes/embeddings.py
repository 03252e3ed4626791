"""POST /v1/embeddings: passed through to the model server, without a run and without a pod."""

import asyncio
import time
from collections.abc import Mapping

import structlog
from fastapi import APIRouter, Request, Response
from starlette.types import Receive, Scope, Send

from sympozium_api.base import seconds
from sympozium_api.instance import SympoziumInstance
from sympozium_http import disconnect, raw_response, request_state
from sympozium_webproxy import context, upstream
from sympozium_webproxy.protocol.openai import bodies, embeddings, errors
from sympozium_webproxy.routes.admission import authenticate, limit
from sympozium_webproxy.routes.body import read_json_bytes
from sympozium_webproxy.routes.deadline import wait_seconds

log = structlog.get_logger()

router = APIRouter()


@router.post("/v1/embeddings", openapi_extra=bodies.documented(embeddings.EmbeddingRequest))
async def create_embeddings(request: Request) -> Response:
    """Vectors of texts, by the instance's model server."""
    parts = context.of(request)
    key_id = await authenticate(request)
    asked, body = embeddings.parse(await read_json_bytes(request, limit=parts.settings.max_body_bytes))
    serving, headers = limit(request, key_id)
    model = embeddings.chosen(serving.instance, asked.model)
    longest = float(seconds(serving.instance.spec.agents.default.run_timeout))
    patience = min(wait_seconds(request) or longest, longest)
    return _PassedThrough(request, serving.instance, body | {"model": model}, headers, patience=patience)


class _PassedThrough(Response):
    """The model server's answer, piece by piece as it comes; a caller that leaves ends the call."""

    def __init__(
        self,
        request: Request,
        instance: SympoziumInstance,
        asked: dict[str, object],
        headers: Mapping[str, str],
        *,
        patience: float,
    ) -> None:
        super().__init__()
        self._began = request_state.of(request).started
        self._key_files = context.of(request).settings.provider_keys
        self._instance = instance
        self._asked = asked
        self._own_headers = headers
        self._patience = patience
        self._started = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 - ASGI
        """Answer as an ASGI application."""
        async with disconnect.cancels(receive):
            await self._answer(send)

    async def _answer(self, send: Send) -> None:
        try:
            async with asyncio.timeout(self._patience):
                await self._pass_on(send)
        except (upstream.Failed, TimeoutError) as failure:
            if self._started:
                log.warning("embeddings cut off", reason=str(failure) or type(failure).__name__)
                return  # the server then closes the connection before the answer's end: nobody takes it for whole
            error = _told(failure, self._patience)
            headers = {**self._own_headers, **error.headers}
            await raw_response.send_json(send, error.status, error.body, headers)

    async def _pass_on(self, send: Send) -> None:
        async with upstream.post(self._instance, "embeddings", self._asked, key_files=self._key_files) as answer:
            headers = {
                **self._own_headers,
                "content-type": answer.headers.get("content-type", "application/json"),
                "openai-processing-ms": str(round((time.monotonic() - self._began) * 1000)),
            }
            await raw_response.start(send, 200, headers)
            self._started = True
            async for piece in answer.content.iter_any():
                await raw_response.send_piece(send, piece)
        await raw_response.finish(send)


def _told(failure: upstream.Failed | TimeoutError, patience: float) -> errors.OpenAIError:
    if isinstance(failure, upstream.Failed):
        return errors.of_run(failure.detail)
    message = f"The model server did not answer within {patience:g} s."
    return errors.OpenAIError(504, message, type="server_error", code="deadline_exceeded")
