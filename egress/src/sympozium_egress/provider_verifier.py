"""Calls of providers that show whether one answers, and which models it has."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import urlsplit

from sympozium_api import policy_binding
from sympozium_api.effective_policy import EffectivePolicy
from sympozium_api.policy_reader import PolicyReader
from sympozium_api.tool_address import host_of
from sympozium_api.tool_check import Flaw
from sympozium_egress.outgoing import resolution
from sympozium_egress.outgoing.http_client import HttpClient, HttpRequest, Unreachable
from sympozium_egress.outgoing.resolution import NameNotFound
from sympozium_egress.policy import provider_request
from sympozium_egress.policy.addresses import AddressPolicy
from sympozium_egress.policy.call_policy import CallRefused, allowed_host
from sympozium_egress.policy.provider_request import ProviderCall, Target
from sympozium_egress.policy.tool_result import HttpAnswer, redacted
from sympozium_egress.provider_secrets import ProviderSecrets, ProviderUnusable

SECONDS = 10.0
"""Longest time of one question to a provider."""
_COMPLETION_BYTES = 256 * 1024
_LIST_BYTES = 2 * 1024 * 1024
_LONGEST_NAME = 256
_LONGEST_TEXT = 500
"""Characters of a failure that are told. They are cut after the credentials are, of which a part would be left otherwise."""


@dataclass(frozen=True)
class Verdict:
    """Result of one call."""

    valid: bool
    reason: str
    error: str | None = None
    model: str | None = None


@dataclass(frozen=True)
class ProviderVerifier:
    """Caller of providers. No credential is in what its methods return."""

    http: HttpClient
    secrets: ProviderSecrets
    addresses: Callable[[], AddressPolicy]
    policies: PolicyReader
    """Reader of the policies that bind every instance of a namespace: no host that they deny is called for its Providers."""

    async def verify(self, namespace: str, name: str, model: str | None) -> Verdict:
        """Call a Provider's model once, with one token; None: the first of the provider's list that seems to chat.

        Raises NoSuchProvider, ApiError and ApiUnavailable.
        """
        target: Target | None = None
        try:
            async with asyncio.timeout(SECONDS):
                target, policy = await self._target(namespace, name)
                model = model or await self._first_model(target, policy)
                await self._complete(target, model, policy)
        except (ProviderUnusable, TimeoutError) as failure:
            reason, text = _words(failure, target)
            return Verdict(valid=False, reason=reason, error=text, model=model)
        return Verdict(valid=True, reason="Answered", model=model)

    async def models(self, namespace: str, name: str) -> list[str]:
        """Return the models that a provider lists. Raises ProviderUnusable, NoSuchProvider, ApiError and ApiUnavailable."""
        target: Target | None = None
        try:
            async with asyncio.timeout(SECONDS):
                target, policy = await self._target(namespace, name)
                return await self._list(target, policy)
        except (ProviderUnusable, TimeoutError) as failure:
            raise ProviderUnusable(*_words(failure, target)) from None

    async def _target(self, namespace: str, name: str) -> tuple[Target, EffectivePolicy | None]:
        policy = policy_binding.of_namespace(namespace, await self.policies.of(namespace))
        return await self.secrets.target(namespace, name), policy

    async def _complete(self, target: Target, model: str, policy: EffectivePolicy | None) -> None:
        """Raise ProviderUnusable unless a model answers with a completion."""
        answer = await self._send(provider_request.completion_call(target, model), _COMPLETION_BYTES, policy)
        if flaw := provider_request.completion_failure(target.type, answer):
            raise ProviderUnusable(flaw.reason, flaw.message)

    async def _first_model(self, target: Target, policy: EffectivePolicy | None) -> str:
        if target.type == "azure_openai":
            raise ProviderUnusable("ModelNeeded", "model: name one, because Azure does not list its deployments")
        names = await self._list(target, policy)
        if (model := provider_request.chat_model(names)) is None:
            raise ProviderUnusable(
                "ModelNeeded", "model: name one, because the provider lists none that completes chats"
            )
        return model

    async def _list(self, target: Target, policy: EffectivePolicy | None) -> list[str]:
        answer = await self._send(provider_request.models_call(target), _LIST_BYTES, policy)
        found = provider_request.models_of(target.type, answer)
        if isinstance(found, Flaw):
            raise ProviderUnusable(found.reason, found.message)
        return [_without_secrets(name, target)[:_LONGEST_NAME] for name in found]

    async def _send(self, call: ProviderCall, most: int, policy: EffectivePolicy | None) -> HttpAnswer:
        """Return a provider's answer. Raises ProviderUnusable."""
        host, addresses = host_of(call.url), self.addresses()
        try:
            allowed_host(call.url, None, policy)
            await resolution.checked(host, addresses, self.http.resolve, policy=policy)
        except NameNotFound:
            raise ProviderUnusable("NameNotFound", f"spec.apiBase: the name {host} is not found") from None
        except CallRefused as refusal:
            raise ProviderUnusable("AddressNotAllowed", f"spec.apiBase: {refusal}") from None
        request = HttpRequest(
            call.method, call.url, addresses, frozenset({host}), call.headers, call.body, policy=policy
        )
        try:
            return await self.http.send(request, max_bytes=most)
        except CallRefused as refusal:
            raise ProviderUnusable("Redirected", f"spec.apiBase: {refusal}") from None
        except Unreachable as failure:
            raise ProviderUnusable("ConnectionFailed", str(failure)) from None


def _words(failure: ProviderUnusable | TimeoutError, target: Target | None) -> tuple[str, str]:
    """Return reason and words of a failure, without what is secret."""
    if isinstance(failure, TimeoutError):
        place = f" of {urlsplit(target.base_url).hostname}" if target else ""
        return "Timeout", f"no answer{place} within {SECONDS:g} s"
    return failure.reason, _without_secrets(str(failure), target)[:_LONGEST_TEXT]


def _without_secrets(text: str, target: Target | None) -> str:
    """Return a text of a provider, which may send back what it was sent, without a token's scheme too. It can be encoded."""
    sent = [target.key or "", *target.headers.values()] if target else []
    secrets = {part for value in sent for part in (value, value.rpartition(" ")[2]) if part}
    return redacted(text.encode(errors="replace").decode(), sorted(secrets, key=len, reverse=True))
