"""The parts that routes work with, handed to the application once when it is created."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from starlette.requests import Request

from sympozium_api.clock import Clock
from sympozium_http.bearer_keys import BearerKeys
from sympozium_http.byte_budget import ByteBudget
from sympozium_http.tracing import Tracing
from sympozium_runs.agent_documents import AgentDocuments
from sympozium_runs.rate_limits import RateLimiter
from sympozium_runs.runs import Runs
from sympozium_webproxy.budgets.key_limit_files import KeyLimitFiles
from sympozium_webproxy.budgets.token_budgets import TokenBudgets
from sympozium_webproxy.identity.access_tokens import AccessTokens
from sympozium_webproxy.instance_cache import InstanceCache
from sympozium_webproxy.metrics import WebProxyMetrics
from sympozium_webproxy.settings import WebProxySettings
from sympozium_webproxy.storage import Storage


@dataclass
class WebProxyContext:
    """Parts of one web-proxy."""

    settings: WebProxySettings
    instance_cache: InstanceCache
    runs: Runs
    documents: AgentDocuments
    """Tools and models of the instance, as the operator gathered them."""
    keys: BearerKeys
    key_limits: KeyLimitFiles
    """Limits that single keys have."""
    budgets: TokenBudgets
    tokens: AccessTokens
    limiter: RateLimiter
    """The limit of requests that make runs."""
    read_limiter: RateLimiter
    """The limit of all other requests."""
    clock: Clock
    open_runs: Callable[[], int]
    """Number of the instance's runs that have not ended."""
    runs_known: Callable[[], bool]
    """True once the runs have been listed; until then the queue seems empty and every rate limit unused."""
    failing_watches: set[str]
    """Names of the watches of the API server that have failed for half a minute and have shown nothing since."""
    api_answers: Callable[[], Awaitable[bool]]
    """True if the API server answers."""
    budget: ByteBudget
    """The bytes of requests and answers that this process holds."""
    metrics: WebProxyMetrics = field(default_factory=WebProxyMetrics)
    storage: Storage = field(default_factory=Storage)
    """Room of the namespace for long texts."""
    tracing: Tracing = field(default_factory=Tracing)
    draining: bool = False
    """True once this replica terminates: it is not ready, and still serves the requests that reach it."""


def of(request: Request) -> WebProxyContext:
    """Return the context of the application that received a request."""
    current: WebProxyContext = request.app.state.context
    return current
