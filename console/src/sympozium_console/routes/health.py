"""Health and metrics: without a token."""

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from sympozium_console import context, models

router = APIRouter(tags=["health"])


@router.get("/healthz", response_model=models.Health)
async def alive() -> Response:
    """Whether the process answers."""
    return JSONResponse({"status": "ok"})


@router.get("/readyz", response_model=models.Health, responses={503: {"model": models.Health}})
async def ready(request: Request) -> Response:
    """Whether a request would be served: 503 with the reason when not."""
    parts = context.of(request)
    if parts.draining.is_set():
        reason = "draining"
    elif not await parts.client.answers():
        reason = "API server unreachable"
    else:
        return JSONResponse({"status": "ok"})
    return JSONResponse({"status": "unavailable", "reason": reason}, status_code=503)


@router.get("/metrics", response_class=Response, responses={200: {"content": {"text/plain": {}}}})
async def metrics(request: Request) -> Response:
    """Prometheus metrics."""
    return Response(generate_latest(context.of(request).metrics.registry), media_type=CONTENT_TYPE_LATEST)
