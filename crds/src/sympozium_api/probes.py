"""Checks of the addresses that an instance names: their results, which the web-proxy stores on the server run, and their targets."""

import hashlib
import json
from typing import Annotated

from pydantic import Field

from sympozium_api.base import ApiModel
from sympozium_api.environment import NO_PROXY, PROXY_VARIABLES

_ROUTES = (*PROXY_VARIABLES, NO_PROXY, "ssl_cert_file", "ssl_cert_dir")
"""Variables of an agent, in lower case, that decide how it reaches its model."""


class Probe(ApiModel):
    """Result of a check of one address. Web-proxies write it when it changes."""

    target: Annotated[str, Field(max_length=64)]
    """Digest of what was checked. A result with another digest than the instance's is outdated."""
    reachable: bool
    """True if the address answers."""
    reason: Annotated[str, Field(max_length=64)]
    """Stable word for programs, e.g. ``NameNotFound``."""
    message: Annotated[str, Field(max_length=1024)]
    """Sentence for people, with the address."""


class Probes(ApiModel):
    """Results of the latest checks, in a run of mode server."""

    model: Probe | None = None
    """The model server, asked for its list of models."""
    issuer: Probe | None = None
    """The issuer of access tokens, asked for its keys."""


def model_target(base_url: str, model: str, environ: dict[str, str]) -> str:
    """Return the digest of a model, its base URL and the proxies and authorities of an agent's environment."""
    routes = {name: value for name, value in environ.items() if name.lower() in _ROUTES}
    return _digest([base_url, model, routes])


def issuer_target(issuer: str, jwks_uri: str | None, certificate_authority: str | None) -> str:
    """Return the digest of an issuer, the address of its keys and its certificate authority."""
    return _digest([issuer, jwks_uri, certificate_authority])


def _digest(parts: list[object]) -> str:
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]
