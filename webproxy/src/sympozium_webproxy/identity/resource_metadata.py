"""OAuth metadata of a protected resource (RFC 9728) and its challenges (RFC 6750)."""

from typing import Any

from sympozium_api.web_endpoint import OAuth

METADATA_PATH = "/.well-known/oauth-protected-resource"
RESOURCES = ("", "/mcp", "/sse")
"""Paths that clients may call a resource; each has its own metadata, which must repeat the URL that the client used."""


def metadata(base_url: str, resource: str, oauth: OAuth) -> dict[str, Any]:
    """Return the metadata of one of the RESOURCES."""
    document: dict[str, Any] = {
        "resource": f"{base_url}{resource}",
        "authorization_servers": [oauth.issuer],
        "bearer_methods_supported": ["header"],
    }
    return document | ({"scopes_supported": oauth.required_scopes} if oauth.required_scopes else {})


def challenge(oauth: OAuth | None, base_url: str, path: str, error: str | None = None) -> str:
    """Return the WWW-Authenticate for a path: the URL of its metadata, and the error of the token if there was one."""
    if oauth is None:
        return "Bearer"
    resource = next((known for known in RESOURCES if known and f"{path}/".startswith(f"{known}/")), "")
    params = {"resource_metadata": f"{base_url}{METADATA_PATH}{resource}"}
    if error:
        params["error"] = error
    if oauth.required_scopes:
        params["scope"] = " ".join(oauth.required_scopes)
    return "Bearer " + ", ".join(f'{name}="{value}"' for name, value in params.items())
