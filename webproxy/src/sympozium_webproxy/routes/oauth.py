"""GET /.well-known/oauth-protected-resource: the authorization server of this endpoint, without authentication."""

from typing import Any

from fastapi import APIRouter, Request

from sympozium_http.refusal import Refusal
from sympozium_webproxy import context
from sympozium_webproxy.identity import resource_metadata
from sympozium_webproxy.request.external_url import base_url
from sympozium_webproxy.routes.openapi import PUBLIC

router = APIRouter()


@router.get("/.well-known/oauth-protected-resource", openapi_extra=PUBLIC)
@router.get("/.well-known/oauth-protected-resource/mcp", openapi_extra=PUBLIC)
@router.get("/.well-known/oauth-protected-resource/sse", openapi_extra=PUBLIC)
async def protected_resource(request: Request) -> dict[str, Any]:
    """Return the metadata of the resource whose path follows. Raises Refusal 404 if the instance names no issuer."""
    oauth = context.of(request).instance_cache.oauth()
    if oauth is None:
        raise Refusal(404, "unknown_url", "This endpoint takes no access tokens.")
    return resource_metadata.metadata(
        base_url(request), request.url.path.removeprefix(resource_metadata.METADATA_PATH), oauth
    )
