"""Reconciler of Providers: their conditions, and the instances that learn of a change."""

from dataclasses import dataclass

from sympozium_api.client import ApiError, Client
from sympozium_api.clock import Clock
from sympozium_api.names import EGRESS
from sympozium_api.provider import Provider, ProviderStatus
from sympozium_api.resources import PROVIDERS, ROLES, SECRETS, Object
from sympozium_operator.policy import provider_plan, provider_resolution
from sympozium_operator.policy.conditions import merge_patch
from sympozium_operator.policy.provider_plan import ProviderInput
from sympozium_operator.reconcile.provider_directory import ProviderDirectory, ReadProvider
from sympozium_operator.reconcile.provider_trials import ProviderTrials
from sympozium_operator.reconcile.tool_reconciler import ALL
from sympozium_operator.reconcile.version_poll import VersionPoll
from sympozium_operator.result import Key, Result

ACCESS_SECONDS = 1.0
"""Seconds until it is looked again whether the egress guard may read a Provider's Secrets."""


@dataclass(frozen=True, kw_only=True)
class ProviderReconciler:
    """Reconciles Providers."""

    client: Client
    clock: Clock
    directory: ProviderDirectory
    trials: ProviderTrials
    poll: VersionPoll
    """Poll of the Secrets that Providers name."""
    interval: int
    """Seconds between two trials of a provider that answers."""

    async def reconcile(self, key: Key) -> Result:
        """Reconcile a Provider."""
        self.poll.forget(key)
        read, resolved = await self.directory.load(key.namespace, key.name)
        tools = Key("tools", key.namespace, ALL)  # keeps the guard's right to the Secrets
        if read is None:
            self.trials.forget(key)
            changed = self.directory.put(key.namespace, key.name, resolved)
            return Result(enqueue=(tools,), spread=self.directory.users(key.namespace, key.name) if changed else ())
        self._remember(key, read)
        trial, failures = self.trials.take(key)
        plan = provider_plan.decide(
            ProviderInput(
                now=self.clock.now(),
                provider=read.provider,
                flaw=provider_resolution.flaw_of(read.provider, read.secret, read.headers),
                versions=tuple(body["metadata"]["resourceVersion"] for body in (read.secret, read.headers) if body),
                models=self.directory.models(key.namespace, key.name),
                has_guard=self.trials.has_guard,
                trial=trial,
                interval=self.interval,
                failures=failures,
            )
        )
        shown = await self._report(read.provider, plan.status)
        resolved = provider_resolution.resolve(
            read.provider, read.secret, read.headers, plan.flaw, provider_plan.reachable_of(shown)
        )
        changed = self.directory.put(key.namespace, key.name, resolved)
        may_read = plan.try_after is None or await self._guard_may_read(read)
        self.trials.plan(key, plan.digest, plan.model, plan.try_after if may_read else None)
        return Result(
            requeue_after=None if may_read else ACCESS_SECONDS,
            enqueue=() if may_read and not changed else (tools,),
            spread=self.directory.users(key.namespace, key.name) if changed else (),
        )

    def _remember(self, key: Key, read: ReadProvider) -> None:
        spec = read.provider.spec
        for name, live in ((spec.secret_ref, read.secret), (spec.headers_secret_ref, read.headers)):
            if name:
                self.poll.remember(key, SECRETS, name, live)

    async def _guard_may_read(self, read: ReadProvider) -> bool:
        """Return whether the egress guard's Role has the Provider's Secrets."""
        spec, namespace = read.provider.spec, read.provider.metadata.namespace
        wanted = {name for name in (spec.secret_ref, spec.headers_secret_ref) if name}
        role = await self.client.find(ROLES, namespace, EGRESS) if wanted else None
        named = {name for rule in (role or {}).get("rules") or [] for name in rule.get("resourceNames") or []}
        return wanted <= named

    async def _report(self, provider: Provider, status: Object) -> Provider:
        """Write what has changed of a status, and return the Provider with it."""
        before = provider.status.model_dump(by_alias=True, exclude_none=True)
        if patch := merge_patch(before, status):
            try:
                await self.client.patch(PROVIDERS, *provider.key, {"status": patch}, subresource="status")
            except ApiError as error:
                if not error.not_found:
                    raise
        return provider.model_copy(update={"status": ProviderStatus.model_validate(status)})
