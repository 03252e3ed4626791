"""What the routes work with, handed in once when the application is made."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from starlette.requests import Request

from sympozium_api.clock import Clock
from sympozium_http.bearer_keys import BearerKeys
from sympozium_http.tracing import Tracing
from sympozium_runs.runs import Runs
from sympozium_webproxy.identity.access_tokens import AccessTokens
from sympozium_webproxy.instance_cache import InstanceCache
from sympozium_webproxy.limits import RateLimiter
from sympozium_webproxy.metrics import WebProxyMetrics
from sympozium_webproxy.settings import WebProxySettings


@dataclass
class WebProxyContext:
    """The parts of one web-proxy."""

    settings: WebProxySettings
    instance_cache: InstanceCache
    runs: Runs
    keys: BearerKeys
    tokens: AccessTokens
    limiter: RateLimiter
    clock: Clock
    open_runs: Callable[[], int]
    """Runs of the instance that have not ended."""
    runs_known: Callable[[], bool]
    """Whether they have been listed: until then the queue seems empty, and every rate limit unused."""
    api_answers: Callable[[], Awaitable[bool]]
    """Whether the API server can be reached."""
    metrics: WebProxyMetrics = field(default_factory=WebProxyMetrics)
    tracing: Tracing = field(default_factory=Tracing)
    draining: bool = False
    """Whether this replica is to end: it is unready, and still serves who comes."""


def of(request: Request) -> WebProxyContext:
    """The context of the application that a request came to."""
    found: WebProxyContext = request.app.state.context
    return found
