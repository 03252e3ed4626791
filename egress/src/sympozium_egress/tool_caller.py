"""One call of a tool: all checks in their order, then the call, within the call's time."""

import asyncio
import functools
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from sympozium_api.client import ApiError
from sympozium_api.run import AgentRun
from sympozium_api.tool import Webhook
from sympozium_api.tool_function import BUILTIN_TOOLS
from sympozium_api.tool_schema import Parameters
from sympozium_egress.call_rates import CallRates
from sympozium_egress.credentials import Credentials, CredentialSource
from sympozium_egress.denial_events import DenialEvents
from sympozium_egress.egress_metrics import EgressMetrics
from sympozium_egress.outgoing import fetch_url, resolution
from sympozium_egress.outgoing.attempts import Attempts
from sympozium_egress.outgoing.http_client import HttpClient, HttpRequest, Unreachable
from sympozium_egress.outgoing.resolution import NameNotFound
from sympozium_egress.policy import call_policy
from sympozium_egress.policy.addresses import AddressPolicy
from sympozium_egress.policy.call_body import ToolCall
from sympozium_egress.policy.call_policy import CallRefused, Grant, Outcome, PolicyDenied
from sympozium_egress.policy.held_bytes import HeldBytes
from sympozium_egress.policy.outgoing_headers import webhook_headers
from sympozium_egress.policy.tool_result import HttpAnswer, ToolResult, of_answer
from sympozium_egress.skill_tools import SkillTools

_SCHEMAS = 256
"""Compiled schemas that are kept."""
_MOST_AT_ONCE = 16
"""Most calls of one run at the same time."""


@dataclass
class _Progress:
    """Time of a call, on the monotonic clock."""

    deadline: float
    """Time at which the call must have its result."""
    outside: float = 0.0
    """Seconds that the call has spent outside the guard."""


@dataclass(frozen=True, kw_only=True)
class ToolCaller:
    """Maker of calls that are allowed."""

    http: HttpClient
    credentials: CredentialSource
    rates: CallRates
    attempts: Attempts
    metrics: EgressMetrics
    skills: SkillTools
    denials: DenialEvents
    addresses: Callable[[], AddressPolicy]
    """Returns the policy at this moment, because the API server's addresses may change."""
    held: HeldBytes
    _schemas: Callable[[str], Parameters] = field(
        default_factory=lambda: functools.lru_cache(_SCHEMAS)(Parameters), repr=False
    )
    _running: dict[str, int] = field(default_factory=dict)
    """Number of calls that each run makes at this moment, by the run's UID."""

    async def call(self, run: AgentRun, grant: Grant, call: ToolCall) -> ToolResult:
        """Return the result of a call, also where it is refused or fails: as an error that the model is told. Raises ApiUnavailable."""
        began = time.monotonic()
        progress = _Progress(began + grant.timeout_seconds)
        outcome: Outcome
        try:
            with _counted(self._running, run.metadata.uid):
                async with asyncio.timeout(grant.timeout_seconds):
                    result = await self._allowed(run, grant, call, progress)
            outcome = "failed" if result.is_error else "ok"
        except CallRefused as refusal:
            result, outcome = self._refused(run, grant.function, refusal), refusal.outcome
        except Unreachable as failure:
            result, outcome = ToolResult(f"failed: {failure}", is_error=True), "unreachable"
        except TimeoutError:
            text = f"failed: no answer within {grant.timeout_seconds:g} seconds"
            result, outcome = ToolResult(text, is_error=True), "timeout"
        except ApiError as refusal:
            result, outcome = ToolResult(f"refused: the cluster answers {refusal.reason}", is_error=True), "refused"
        seconds = time.monotonic() - began
        self.metrics.count(
            run.metadata.namespace, grant.function, outcome, seconds=seconds, outside=min(progress.outside, seconds)
        )
        return result

    def refuse(self, run: AgentRun, function: str, refusal: CallRefused) -> ToolResult:
        """Return the result of a call that no grant in force allows, and count it. ``function`` is one that the agent had."""
        self.metrics.count(run.metadata.namespace, function, refusal.outcome, seconds=0.0, outside=0.0)
        return self._refused(run, function, refusal)

    def _refused(self, run: AgentRun, function: str, refusal: CallRefused) -> ToolResult:
        if isinstance(refusal, PolicyDenied):
            self.metrics.denied.labels(refusal.denial.kind).inc()
            self.denials.emit(run, function, refusal.denial)
        return ToolResult(f"refused: {refusal}", is_error=True)

    async def _allowed(self, run: AgentRun, grant: Grant, call: ToolCall, progress: _Progress) -> ToolResult:
        call_policy.check(grant, run, call.arguments, self._schemas)
        if grant.binding is not None:
            await self.rates.count(grant.binding)
        if grant.builtin in BUILTIN_TOOLS:
            return await self._fetch(run, grant, call, progress)
        if grant.builtin is not None:
            return await self.skills.result(run.metadata.namespace, grant.skills, grant.builtin, call.arguments)
        if grant.tool is None or grant.tool.spec.webhook is None:
            raise CallRefused("this version cannot carry out the tool")
        return await self._webhook(run, grant, grant.tool.spec.webhook, call, progress)

    async def _fetch(self, run: AgentRun, grant: Grant, call: ToolCall, progress: _Progress) -> ToolResult:
        namespace, domains = run.metadata.namespace, grant.allowed_domains
        held = functools.partial(self.held.part, namespace)
        addresses = self.addresses().without_private() if domains is None else self.addresses()
        seconds = fetch_url.seconds(grant.policy)
        progress.deadline = min(progress.deadline, time.monotonic() + seconds)

        async def attempt() -> HttpAnswer:
            return await fetch_url.fetch(
                self.http, call.arguments, addresses, domains, held=held, policy=grant.policy, namespace=namespace
            )

        async with asyncio.timeout(seconds):
            answer = await self._timed(attempt, progress)
            return await asyncio.to_thread(fetch_url.page_result, answer)  # a long page takes a second

    async def _webhook(
        self, run: AgentRun, grant: Grant, webhook: Webhook, call: ToolCall, progress: _Progress
    ) -> ToolResult:
        addresses, namespace = self.addresses(), run.metadata.namespace
        await self._checked_host(webhook, grant, addresses, namespace)
        credentials = await self._credentials(webhook, grant, namespace, addresses)
        request = HttpRequest(
            webhook.method,
            webhook.url,
            addresses,
            grant.allowed_domains,
            webhook_headers(webhook.headers, run, call.id) | credentials.headers,
            call.text.encode(errors="replace"),
            held=functools.partial(self.held.part, namespace),
            policy=grant.policy,
            namespace=namespace,
        )
        answer = await self._timed(lambda: self.http.send(request), progress)
        if answer.status == 401:
            self.credentials.drop(credentials)
        return of_answer(answer, credentials.secrets)

    async def _checked_host(self, webhook: Webhook, grant: Grant, addresses: AddressPolicy, namespace: str) -> None:
        """Check host and addresses before a Secret is read. Each attempt checks them again, and pins them."""
        host = call_policy.allowed_host(webhook.url, grant.allowed_domains, grant.policy)
        try:
            await resolution.checked(host, addresses, self.http.resolve, policy=grant.policy, namespace=namespace)
        except NameNotFound:
            return  # the attempts try again, and report it

    async def _credentials(
        self, webhook: Webhook, grant: Grant, namespace: str, addresses: AddressPolicy
    ) -> Credentials:
        secret_key = grant.binding.spec.secret_key if grant.binding else None
        return await self.credentials.of(webhook, namespace, secret_key, addresses, grant.policy)

    async def _timed(self, attempt: Callable[[], Awaitable[HttpAnswer]], progress: _Progress) -> HttpAnswer:
        began = time.monotonic()
        try:
            return await self.attempts.make(attempt, deadline=progress.deadline)
        finally:
            progress.outside += time.monotonic() - began


@contextmanager
def _counted(running: dict[str, int], uid: str) -> Iterator[None]:
    """Count a call of a run while it lasts. Raises CallRefused above the most at once."""
    number = running.get(uid, 0)
    if number >= _MOST_AT_ONCE:
        raise CallRefused(f"the run already makes {_MOST_AT_ONCE} calls", "rate_limited")
    running[uid] = number + 1
    try:
        yield
    finally:
        running[uid] -= 1
        if not running[uid]:
            del running[uid]
