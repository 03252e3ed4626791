"""Health, which needs no token."""

from typing import Literal

from fastapi import APIRouter, Request
from pydantic import BaseModel

from sympozium_platform import platform_context

router = APIRouter(tags=["health"])


class Health(BaseModel):
    """State of the process."""

    status: Literal["ok"] = "ok"


class DatabaseHealth(Health):
    """State of the process, and of its connections to the database."""

    pool_size: int
    """Connections that stay open."""
    max_overflow: int
    """Connections beyond those at most."""
    active_connections: int
    """Connections in use."""
    usage_percent: float
    """Connections in use, in percent of all that there may be."""


@router.get("/health", name="health.get")
async def health() -> Health:
    """Return 200 while the process answers."""
    return Health()


@router.get("/health/db", name="health.get_database")
async def database_health(request: Request) -> DatabaseHealth:
    """Return the figures of the pool of connections. They come from the process alone: the database may be away."""
    database = platform_context.of_request(request).database
    settings = database.settings
    most, active = settings.max_connections, database.pool_in_use
    size = min(settings.pool_size, most)
    return DatabaseHealth(
        pool_size=size,
        max_overflow=most - size,
        active_connections=active,
        usage_percent=round(100 * active / most, 1),
    )
