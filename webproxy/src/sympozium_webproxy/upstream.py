"""The web-proxy's own calls of the model server: for embeddings only, which need no agent and so no pod."""

import ssl
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

import aiohttp
import structlog

from sympozium_api import agent_protocol, environment
from sympozium_api.environment import NO_PROXY, proxy_variable
from sympozium_api.instance import SympoziumInstance
from sympozium_api.model_refusal import MAX_REFUSAL_BYTES, ModelRefusal, parse_refusal, redacted
from sympozium_api.resolved_model import ResolvedModel
from sympozium_api.values import replace
from sympozium_http.refusal import Refusal
from sympozium_runs.run_failure import refusal_of
from sympozium_webproxy.network_failure import failure_of

log = structlog.get_logger()

_CONNECT_SECONDS = 10.0


_NOT_OPENAI = ("anthropic_native", "gemini_native", "azure_openai")
"""Types of Providers that have no embeddings in OpenAI's dialect at their address."""


@dataclass(frozen=True)
class Credentials:
    """Credentials of a model server, read from files with each call."""

    key: str | None
    headers: Mapping[str, str]

    @classmethod
    def of(cls, model: ResolvedModel, key_files: Sequence[Path], keys: Path, headers: Path) -> Self:
        """Return the credentials of a model: of its Provider, in its folders of ``keys`` and ``headers``, or of the instance."""
        if model.folder is None:
            return cls(_key(key_files), {})
        files = sorted((headers / model.folder).glob("[!.]*"))
        secret = {file.name.lower(): _text(file) for file in files}
        own = [keys / model.folder / name for name in environment.PROVIDER_KEYS]
        return cls(_key(own), {**_lower(model.headers), **secret})


def refuse_other_dialects(model: ResolvedModel) -> None:
    """Raise Refusal 400 if a model's Provider has no embeddings that can be forwarded."""
    if model.provider in _NOT_OPENAI:
        message = f"The Provider {model.ref} has type {model.provider}, which has no embeddings in OpenAI's dialect."
        raise Refusal(400, "unsupported_parameter", message, param="model")


@asynccontextmanager
async def post(
    instance: SympoziumInstance, model: ResolvedModel, leaf: str, body: dict[str, Any], credentials: Credentials
) -> AsyncIterator[aiohttp.ClientResponse]:
    """Post to an instance's model server as the instance's agents do, and yield a 200 whose body is still to be read.

    Raises Refusal. Each call opens its own connection with the current headers, proxies and certificate authorities.
    """
    agent = instance.spec.agents.default
    url, key = agent_protocol.leaf_url(model.base_url, leaf), credentials.key
    headers = {"accept-encoding": "identity", "user-agent": "sympozium-web-proxy"}
    if key:
        headers["authorization"] = f"Bearer {key}"
    own = {**credentials.headers, **_lower(agent.provider_headers)}
    headers |= own
    timeout = aiohttp.ClientTimeout(total=None, connect=_CONNECT_SECONDS)
    try:
        if (name := agent_protocol.find_unsendable(headers)) is not None:
            raise ValueError(f"the header {name} is not valid in HTTP: it must hold printable ASCII only")  # noqa: TRY301
        async with (
            aiohttp.ClientSession(timeout=timeout, connector=aiohttp.TCPConnector(ssl=authorities(agent.env))) as http,
            http.post(
                url, json=body, headers=headers, proxy=proxy_of(url, agent.env), allow_redirects=False
            ) as response,
        ):
            if response.status != 200:
                raise await _refusal(response, key, own)
            yield response
    except (aiohttp.ClientError, OSError, ValueError) as failure:
        place, reason = agent_protocol.plain_url(model.base_url), failure_of(failure)
        log.warning("model unreachable", url=place, reason=reason.words)
        unreachable = ModelRefusal(f"Cannot reach the model at {place}: {reason.words}.", code=reason.reason)
        raise refusal_of(agent_protocol.model_error(unreachable, 502, kind="model_unreachable")["error"]) from failure


def _lower(headers: Mapping[str, str]) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}


def _key(files: Sequence[Path]) -> str | None:
    file = next((file for file in files if file.is_file()), None)
    return _text(file) or None if file else None


def _text(file: Path) -> str:
    """Return a credential without blanks at its ends; one that is no text is refused as a header is."""
    return file.read_text(errors="replace").strip()


def authorities(environ: Mapping[str, str]) -> ssl.SSLContext | bool:
    """Return the certificate authorities that an agent's environment names, or True: the usual ones. Raises OSError."""
    file, folder = environ.get("SSL_CERT_FILE"), environ.get("SSL_CERT_DIR")
    return ssl.create_default_context(cafile=file, capath=folder) if file or folder else True


def proxy_of(url: str, environ: Mapping[str, str]) -> str | None:
    """Return the proxy that an agent's environment names for a URL; None: there is none."""
    address = urlsplit(url)
    spared = [name.strip().lstrip(".") for name in (proxy_variable(environ, NO_PROXY) or "").split(",") if name.strip()]
    host = address.hostname or ""
    if any(name in ("*", host) or host.endswith(f".{name}") for name in spared):
        return None
    return proxy_variable(environ, f"{address.scheme}_proxy") or proxy_variable(environ, "all_proxy")


async def _refusal(response: aiohttp.ClientResponse, key: str | None, headers: Mapping[str, str]) -> Refusal:
    status = response.status
    body = await response.content.read(MAX_REFUSAL_BYTES)
    refusal = parse_refusal(body, response.headers.get("retry-after"))
    refusal = redacted(replace(refusal, message=refusal.message or f"The model answered {status}."), key, headers)
    return refusal_of(agent_protocol.model_error(refusal, status if status >= 400 else 502)["error"])
