"""Checks of Providers that operator and egress guard share, and what is called of one. Pure."""

import base64
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from sympozium_api import names
from sympozium_api.agent_protocol import find_unsendable, leaf_url
from sympozium_api.provider import DEFAULT_BASES, Provider, ProviderType
from sympozium_api.tool_address import AddressError, host_of
from sympozium_api.tool_check import RESERVED_HEADERS, Flaw

_VERSIONS: dict[ProviderType, str] = {"ollama": "v1", "anthropic_native": "v1", "gemini_native": "v1beta"}
"""Versions that are added to an address without a path."""
ENTRY_REASONS = ("SecretKeyNotFound", "SecretKeyEmpty", "SecretKeyInvalid", "SecretHeaderInvalid")
"""Reasons of flaws in the entries of a Provider's Secrets, which the egress guard alone reads."""


def of_spec(provider: Provider) -> Flaw | None:
    """Return the reason why a Provider cannot be called, as far as its spec shows; None if it can. Disabled is no reason."""
    spec = provider.spec
    base = spec.api_base or DEFAULT_BASES.get(spec.type)
    if base is None:
        return Flaw("InvalidSpec", f"spec.apiBase: required with type {spec.type}, such as https://llm.example.com/v1")
    try:
        host_of(base)
    except AddressError as error:
        return Flaw("InvalidAddress", f"spec.apiBase: the URL {error}")
    return _of_headers("spec.headers", spec.headers)


def base_url(provider: Provider) -> str:
    """Return the base URL that is called, with its version where the address has no path. Empty: there is none."""
    base = provider.spec.api_base or DEFAULT_BASES.get(provider.spec.type, "")
    version = _VERSIONS.get(provider.spec.type)
    if version and urlsplit(base).path in ("", "/"):
        return leaf_url(base, version)
    return base if "?" in base else base.rstrip("/")


def key_entries(kind: ProviderType) -> tuple[str, ...]:
    """Return the entries of a Secret that may hold a Provider's API key; the first that exists is used."""
    words = dict.fromkeys((kind.upper(), kind.upper().partition("_")[0]))
    return (*(f"{word}_API_KEY" for word in words), "api-key")


def of_secret(field: str, name: str, secret: Mapping[str, Any] | None) -> Flaw | None:
    """Return the reason why a Secret may not be used for a Provider; None if it may."""
    if names.is_api_key_secret(name):
        return Flaw("SecretNotAllowed", f"{field}: the Secret {name} holds API keys of callers; use another")
    if secret is None:
        return Flaw("SecretNotFound", f"{field}: there is no Secret {name}")
    if (secret["metadata"].get("labels") or {}).get(names.LABEL_MODEL_KEY) != "true":
        return Flaw("SecretNotLabelled", f'{field}: the Secret {name} has no label {names.LABEL_MODEL_KEY}: "true"')
    return None


def key_entry(kind: ProviderType, secret: Mapping[str, Any]) -> str | None:
    """Return the entry of a Secret that holds a Provider's API key; None: there is none."""
    return next((entry for entry in key_entries(kind) if entry in (secret.get("data") or {})), None)


def of_key(kind: ProviderType, name: str, secret: Mapping[str, Any]) -> Flaw | None:
    """Return the reason why a Secret holds no API key for a Provider; None if it does."""
    entry = key_entry(kind, secret)
    if entry is None:
        *others, last = key_entries(kind)
        text = f"spec.secretRef: the Secret {name} has neither the entry {', '.join(others)} nor {last}"
        return Flaw("SecretKeyNotFound", text)
    value = decoded(secret["data"][entry])
    if value == "":
        return Flaw("SecretKeyEmpty", f"spec.secretRef: the Secret {name} has an empty value in the entry {entry}")
    if value is None or find_unsendable({"authorization": value}):
        text = f"spec.secretRef: the Secret {name} has a value in the entry {entry} that is not one line of printable ASCII"
        return Flaw("SecretKeyInvalid", text)
    return None


def of_secret_headers(name: str, secret: Mapping[str, Any]) -> Flaw | None:
    """Return the reason why a Secret's entries cannot be sent as headers; None if they can."""
    values = {entry: decoded(value) for entry, value in (secret.get("data") or {}).items()}
    if unread := sorted(entry for entry, value in values.items() if value is None):
        text = f"spec.headersSecretRef: the Secret {name} has an entry {unread[0]!r} that is no text"
        return Flaw("SecretHeaderInvalid", text)
    field, read = f"spec.headersSecretRef: the Secret {name}", {key: value or "" for key, value in values.items()}
    return _of_headers(field, read, reason="SecretHeaderInvalid")


def decoded(value: str) -> str | None:
    """Return a Secret's value as pods and the guard read it, without blanks at its ends; None if it is not UTF-8."""
    try:
        return base64.b64decode(value).decode().strip()
    except ValueError:
        return None


def _of_headers(field: str, headers: Mapping[str, str], *, reason: str = "InvalidHeader") -> Flaw | None:
    if (name := find_unsendable(headers)) is not None:
        return Flaw(reason, f"{field}: {name!r} cannot be sent, because HTTP allows printable ASCII only")
    if taken := sorted(name for name in headers if name.lower() in RESERVED_HEADERS):
        return Flaw(reason, f"{field}: {taken[0]!r} is set by the connection itself; remove it")
    return None
