"""Probe routes, which need no token."""

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse

from sympozium_console import console_context, openapi_models

router = APIRouter(tags=["health"])


@router.get("/healthz", response_model=openapi_models.Health)
async def liveness() -> Response:
    """Return 200 while the process answers."""
    return JSONResponse({"status": "ok"})


@router.get("/readyz", response_model=openapi_models.Health, responses={503: {"model": openapi_models.Health}})
async def readiness(request: Request) -> Response:
    """Return 200 if requests can be served, otherwise 503 with the reason."""
    context = console_context.of_request(request)
    if context.draining.is_set():
        reason = "draining"
    elif not await context.client.answers():
        reason = "API server unreachable"
    else:
        return JSONResponse({"status": "ok"})
    return JSONResponse({"status": "unavailable", "reason": reason}, status_code=503)
