"""The parts that the routes work with, injected once when the application is created."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from prometheus_client import Counter
from starlette.requests import Request

from sympozium_api.client import Client
from sympozium_api.clock import Clock
from sympozium_archive.database import Database
from sympozium_archive.run_queries import RunQueries
from sympozium_domain.agents.agent_runs import AgentRuns
from sympozium_domain.agents.agents import Agents
from sympozium_domain.audit.audit_trail import ChangeAudit
from sympozium_domain.callers.access_tokens import AccessTokens
from sympozium_domain.callers.authenticator import KeyCheck
from sympozium_domain.callers.key_issuing import KeyIssuing
from sympozium_domain.callers.key_store import KeyStore
from sympozium_domain.instance_runs import InstanceRuns
from sympozium_domain.object_pages import ObjectPages
from sympozium_domain.stored_runs.run_finder import RunFinder
from sympozium_domain.tools.bindings import Bindings
from sympozium_domain.tools.tools import Tools
from sympozium_http.byte_budget import ByteBudget
from sympozium_http.forwarded import Network
from sympozium_http.request_metrics import RequestMetrics
from sympozium_platform.open_streams import OpenStreams
from sympozium_platform.platform_limits import PlatformLimits
from sympozium_platform.platform_settings import PlatformSettings


@dataclass(frozen=True)
class PlatformCallers:
    """The parts that know callers."""

    tokens: AccessTokens
    key_checks: Sequence[KeyCheck]
    """Checks of API keys, one after the other."""
    keys: KeyStore
    issuing: KeyIssuing


@dataclass(frozen=True)
class PlatformContext:
    """The parts of one agent platform API."""

    settings: PlatformSettings
    client: Client
    clock: Clock
    database: Database
    """The archive, or an index of the runs that Kubernetes has."""
    has_archive: bool
    """True if ``database`` is the archive: it has the audit, and runs that Kubernetes has no more."""
    indexed_runs: RunQueries
    instance_runs: InstanceRuns
    agents: Agents
    pages: ObjectPages
    callers: PlatformCallers
    tools: Tools
    bindings: Bindings
    limits: PlatformLimits
    streams: OpenStreams
    trusted_proxies: tuple[Network, ...]
    """Networks of proxies in front, whose X-Forwarded-For tells the address of a caller."""
    agent_runs: AgentRuns
    run_finder: RunFinder
    draining: asyncio.Event
    """Event set when the process begins to stop: waits and streams end, and their runs go on."""
    audit: ChangeAudit
    metrics: RequestMetrics
    database_errors: Counter
    max_body_bytes: int
    key_seconds: int
    """Seconds for which an Idempotency-Key stands."""

    @property
    def budget(self) -> ByteBudget:
        """The bytes of requests and answers that the process may hold."""
        return self.instance_runs.budget


def of_request(request: Request) -> PlatformContext:
    """Return the context of the application that serves a request."""
    context: PlatformContext = request.app.state.context
    return context
