"""Health, without authentication."""

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse

from sympozium_webproxy import context
from sympozium_webproxy.routes.openapi import PUBLIC

router = APIRouter()


@router.get("/health", openapi_extra=PUBLIC)
@router.get("/healthz", openapi_extra=PUBLIC)
async def alive() -> dict[str, str]:
    """Return 200 as long as the process answers."""
    return {"status": "ok"}


@router.get("/readyz", openapi_extra=PUBLIC)
async def ready(request: Request) -> JSONResponse:
    """Return 200 if a request would be served, else 503 with the reason."""
    parts = context.of(request)
    if parts.draining:
        reason = "draining"
    elif not parts.instance_cache.known:
        reason = "instance not read yet"
    elif not parts.runs_known():
        reason = "runs not read yet"
    elif parts.failing_watches:
        reason = f"watch fails: {min(parts.failing_watches)}"
    elif not await parts.api_answers():
        reason = "API server unreachable"
    else:
        return JSONResponse({"status": "ok"})
    return JSONResponse({"status": "unavailable", "reason": reason}, status_code=503)
