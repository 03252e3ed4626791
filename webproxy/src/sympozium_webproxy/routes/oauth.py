"""GET /.well-known/oauth-protected-resource: the authorization server of this endpoint, without authentication."""

from typing import Any

from fastapi import APIRouter, Request
from starlette.exceptions import HTTPException

from sympozium_webproxy import context
from sympozium_webproxy.identity import resource_metadata
from sympozium_webproxy.request.external_url import base_url

router = APIRouter()


@router.get("/.well-known/oauth-protected-resource")
@router.get("/.well-known/oauth-protected-resource/mcp")
@router.get("/.well-known/oauth-protected-resource/sse")
async def protected_resource(request: Request) -> dict[str, Any]:
    """Return the metadata of the resource whose path follows. Raises 404 if the instance names no issuer."""
    oauth = context.of(request).instance_cache.oauth()
    if oauth is None:
        raise HTTPException(404)
    return resource_metadata.metadata(
        base_url(request), request.url.path.removeprefix(resource_metadata.METADATA_PATH), oauth
    )
