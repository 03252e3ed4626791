"""The check of the model server: one GET of its list of models, without the key."""

import asyncio
import json
from collections.abc import Mapping
from typing import Any

import aiohttp

from sympozium_api import agent_protocol, effective
from sympozium_api.instance import SympoziumInstance
from sympozium_api.probes import Probe, model_target
from sympozium_webproxy import upstream
from sympozium_webproxy.network_failure import failure_of

_SECONDS = 10.0
_LARGEST_LIST = 1024 * 1024
_HEADERS = {"accept": "application/json", "accept-encoding": "identity", "user-agent": "sympozium-web-proxy"}


def target_of(instance: SympoziumInstance) -> str:
    """Return the digest of what ``probe`` checks."""
    model, environ = effective.model(instance), instance.spec.agents.default.env
    return model_target(model.base_url, model.name, environ)


async def probe(instance: SympoziumInstance) -> Probe:
    """Ask the instance's model server for its models, as an agent would reach it, and return what that shows.

    Without the key and the instance's headers, so that nothing secret leaves: any answer counts, and 401 is one.
    """
    model = effective.model(instance)
    place = agent_protocol.plain_url(model.base_url)
    try:
        async with asyncio.timeout(_SECONDS):
            status, body = await _get(model.base_url, instance)
    except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as error:
        failure = failure_of(error)
        text = f"cannot reach the model at {place}: {failure.words} (spec.agents.default.baseURL)"
        return Probe(target=target_of(instance), reachable=False, reason=failure.reason, message=text[:1024])
    return _answered(target_of(instance), place, model.name, status, body)


async def _get(base_url: str, instance: SympoziumInstance) -> tuple[int, bytes]:
    """Return status and body of a GET of the list, and of the body at most _LARGEST_LIST bytes; redirects are not followed."""
    environ = instance.spec.agents.default.env
    authorities = _authorities(environ)
    # A server whose certificate is not verified may be anybody's: it is not sent what may be a key in the address.
    url = agent_protocol.leaf_url(agent_protocol.plain_url(base_url) if authorities is False else base_url, "models")
    connector = aiohttp.TCPConnector(ssl=authorities)
    async with (
        aiohttp.ClientSession(connector=connector, auto_decompress=False) as http,
        http.get(url, headers=_HEADERS, proxy=upstream.proxy_of(url, environ), allow_redirects=False) as response,
    ):
        body = bytearray()
        if response.status == 200:
            async for piece in response.content.iter_any():
                body += piece
                if len(body) > _LARGEST_LIST:
                    break
        return response.status, bytes(body)


def _authorities(environ: Mapping[str, str]) -> Any:
    """Return the certificate authorities; without the files, which the agent's image may have and this one not, trust any."""
    try:
        return upstream.authorities(environ)
    except OSError:
        return False


def _answered(target: str, place: str, model: str, status: int, body: bytes) -> Probe:
    listed = _models(body) if status == 200 else None
    if listed is not None and not any(_is_named(model, name) for name in listed):
        text = f"{place} answers, and does not list the model {model} (spec.agents.default.model)"
        return Probe(target=target, reachable=True, reason="ModelNotListed", message=text[:1024])
    if listed is not None:
        text = f"{place} answers, and lists the model {model}"
    elif status == 404:
        text = f"{place} answers, and has no list of models (404); if calls fail too, see whether baseURL lacks a path such as /v1"
    elif status >= 500:
        text = f"{place} answers, with an error of the server"
    else:
        text = f"{place} answers; it was asked without an API key"
    return Probe(target=target, reachable=True, reason="Answered", message=text[:1024])


def _models(body: bytes) -> list[str] | None:
    """Return the ids of a whole list of models, as OpenAI's API has it; None for anything else, and for one page of several."""
    try:
        listing = json.loads(body)
    except (ValueError, RecursionError):
        return None
    data = listing.get("data") if isinstance(listing, dict) else None
    if not isinstance(data, list) or not data or listing.get("has_more"):
        return None
    return [str(item["id"]) for item in data if isinstance(item, dict) and isinstance(item.get("id"), str)]


def _is_named(model: str, listed: str) -> bool:
    """Return whether an id of the list is the model: Ollama appends ``:latest``, Gemini puts ``models/`` before it."""
    return listed in (model, f"{model}:latest", f"models/{model}")
