"""Providers and their credentials, read again for each question and held by nobody."""

from dataclasses import dataclass
from urllib.parse import urlsplit

from sympozium_api import provider_check
from sympozium_api.client import ApiError, Client
from sympozium_api.provider import Provider
from sympozium_api.reading import Unreadable, read
from sympozium_api.resources import PROVIDERS, SECRETS, Object
from sympozium_egress.policy.provider_request import Target


class NoSuchProvider(Exception):
    """There is no Provider of this name."""


class ProviderUnusable(Exception):
    """A Provider that cannot be called. ``reason`` is a stable word; the message begins with the field."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


@dataclass(frozen=True)
class ProviderSecrets:
    """Reader of Providers."""

    client: Client

    async def target(self, namespace: str, name: str) -> Target:
        """Return a Provider with its credentials. Raises NoSuchProvider, ProviderUnusable, ApiError and ApiUnavailable."""
        body = await self.client.find(PROVIDERS, namespace, name)
        if body is None:
            raise NoSuchProvider
        try:
            provider = read(Provider, body)
        except Unreadable as failure:
            raise ProviderUnusable("InvalidSpec", failure.fields) from None
        if flaw := provider_check.of_spec(provider):
            raise ProviderUnusable(flaw.reason, flaw.message)
        spec = provider.spec
        key, headers = None, dict(spec.headers)
        if spec.secret_ref:
            secret = await self._secret(namespace, "spec.secretRef", spec.secret_ref)
            if flaw := provider_check.of_key(spec.type, spec.secret_ref, secret):
                raise ProviderUnusable(flaw.reason, flaw.message)
            key = provider_check.decoded(secret["data"][provider_check.key_entry(spec.type, secret) or ""])
        if spec.headers_secret_ref:
            secret = await self._secret(namespace, "spec.headersSecretRef", spec.headers_secret_ref)
            if flaw := provider_check.of_secret_headers(spec.headers_secret_ref, secret):
                raise ProviderUnusable(flaw.reason, flaw.message)
            entries = secret.get("data") or {}
            taken = {entry.lower() for entry in entries}
            headers = {name: value for name, value in headers.items() if name.lower() not in taken}
            headers |= {entry: provider_check.decoded(value) or "" for entry, value in entries.items()}
        return Target(
            spec.type, _from_outside(provider_check.base_url(provider), namespace), spec.api_version, key, headers
        )

    async def _secret(self, namespace: str, field: str, name: str) -> Object:
        try:
            body = await self.client.find(SECRETS, namespace, name)
        except ApiError as failure:
            if not failure.forbidden:
                raise
            text = f"{field}: the egress guard may not read the Secret {name} yet"
            raise ProviderUnusable("SecretNotReadable", text) from None
        if flaw := provider_check.of_secret(field, name, body):
            raise ProviderUnusable(flaw.reason, flaw.message)
        return body or {}


def _from_outside(base_url: str, namespace: str) -> str:
    """Return a base URL whose host is found in all namespaces: agents are in the Provider's, where a Service's name is enough."""
    parts = urlsplit(base_url)
    host = parts.hostname or ""
    if "." in host or ":" in host or not host:
        return base_url
    authority = f"{host}.{namespace}.svc" + (f":{parts.port}" if parts.port else "")
    return parts._replace(netloc=authority).geturl()
