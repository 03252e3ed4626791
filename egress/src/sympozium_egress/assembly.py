"""Assembly of one egress guard from its parts."""

import asyncio
from dataclasses import dataclass

from starlette.applications import Starlette

from sympozium_api.client import Client
from sympozium_api.clock import Clock
from sympozium_api.policy_reader import PolicyReader
from sympozium_egress.call_rates import CallRates, windows_of
from sympozium_egress.credentials import CredentialSource
from sympozium_egress.denial_events import DenialEvents
from sympozium_egress.egress_app import create_egress_app
from sympozium_egress.egress_metrics import EgressMetrics
from sympozium_egress.egress_settings import EgressSettings
from sympozium_egress.forbidden_addresses import REFRESH_SECONDS, ForbiddenAddresses
from sympozium_egress.grants import Grants
from sympozium_egress.model_origins import ModelOrigins
from sympozium_egress.outgoing.attempts import Attempts
from sympozium_egress.outgoing.http_client import HttpClient
from sympozium_egress.policy.held_bytes import HeldBytes
from sympozium_egress.provider_routes import ProviderRoutes
from sympozium_egress.provider_secrets import ProviderSecrets
from sympozium_egress.provider_verifier import ProviderVerifier
from sympozium_egress.skill_tools import SkillTools
from sympozium_egress.tool_caller import ToolCaller
from sympozium_egress.tool_calls import ToolCalls
from sympozium_egress.tool_secrets import ToolSecrets
from sympozium_egress.tunnels import Dial, Tunnels
from sympozium_http.tracing import Tracing
from sympozium_runs.pod_identity import PodTokens
from sympozium_runs.run_store import RunStore


@dataclass(frozen=True)
class EgressGuard:
    """A guard that is ready to be served."""

    app: Starlette
    metrics: EgressMetrics
    forbidden: ForbiddenAddresses
    held: HeldBytes
    tunnels: Tunnels

    async def keep_forbidden(self) -> None:
        """Look forbidden addresses up without end."""
        while True:
            await asyncio.sleep(REFRESH_SECONDS)
            await self.forbidden.refresh()


async def assemble(
    client: Client,
    settings: EgressSettings,
    clock: Clock,
    tracing: Tracing | None = None,
    *,
    http: HttpClient | None = None,
    dial: Dial | None = None,
) -> EgressGuard:
    """Return a guard. ``http`` is the client of the world, ``dial`` connects to it; None: the real ones."""
    metrics, http, held = EgressMetrics(), http or HttpClient(settings.max_response_bytes), HeldBytes()
    forbidden = ForbiddenAddresses(client, settings, http.resolve)
    await forbidden.refresh()
    denials = DenialEvents(client, clock)
    caller = ToolCaller(
        http=http,
        credentials=CredentialSource(client, ToolSecrets(client), http, namespace=settings.namespace),
        rates=CallRates(windows_of(settings.redis_url)),
        attempts=Attempts(settings.retries),
        metrics=metrics,
        skills=SkillTools(client, settings.namespace),
        denials=denials,
        addresses=forbidden.policy,
        held=held,
    )
    store, tokens = RunStore(client, clock), PodTokens(client)
    policies = PolicyReader(client, clock, settings.namespace)
    calls = ToolCalls(store, tokens, Grants(client, policies), caller, held)
    verifier = ProviderVerifier(http, ProviderSecrets(client), forbidden.policy, policies)
    providers = ProviderRoutes.of(client, verifier, settings.namespace)
    tunnels = Tunnels(
        store,
        tokens,
        ModelOrigins(client, policies),
        addresses=forbidden.policy,
        metrics=metrics,
        denials=denials,
        resolve=http.resolve,
        dial=dial,
    )
    app = create_egress_app(calls, providers, client, metrics, tracing)
    return EgressGuard(app, metrics, forbidden, held, tunnels)
