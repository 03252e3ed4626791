"""The console's parts as the agent platform API takes them. That dialect knows nothing of this one."""

from sympozium_api import environment
from sympozium_console.console_context import ConsoleContext
from sympozium_console.preconditions import Precondition
from sympozium_domain.agents.agent_runs import AgentRuns
from sympozium_domain.agents.agents import Agents
from sympozium_domain.agents.versions import Versions
from sympozium_domain.callers.access_tokens import LEAST_BYTES, AccessTokens
from sympozium_domain.callers.key_holders import KeyHolders
from sympozium_domain.callers.secret_files import SecretFiles
from sympozium_domain.object_pages import ObjectPages
from sympozium_domain.stored_runs.run_finder import RunFinder
from sympozium_domain.tenant_bounds import TenantBounds
from sympozium_domain.tools.bindings import Bindings
from sympozium_domain.tools.tools import Tools
from sympozium_domain.tools.tools_in_force import ToolsInForce
from sympozium_platform.open_streams import OpenStreams
from sympozium_platform.platform_context import PlatformCallers, PlatformContext
from sympozium_platform.platform_limits import PlatformLimits
from sympozium_platform.platform_settings import PlatformSettings


def platform_context(context: ConsoleContext) -> PlatformContext:
    """Return the context of the agent platform API, which must be on."""
    settings, callers, metrics = context.settings, context.callers, context.metrics
    platform = settings.platform or PlatformSettings()
    agents = _agents(context, platform.bounds)
    in_force = ToolsInForce(context.client)
    finder = RunFinder(context.client, context.database, context.instance_runs)
    return PlatformContext(
        settings=platform,
        client=context.client,
        clock=context.clock,
        database=context.database,
        has_archive=settings.archive is not None,
        indexed_runs=context.indexed_runs,
        instance_runs=context.instance_runs,
        agents=agents,
        pages=ObjectPages(context.client),
        callers=PlatformCallers(
            tokens=_tokens(context, platform),
            key_checks=callers.authenticator.key_checks,
            keys=callers.keys,
            issuing=callers.issuing,
        ),
        tools=Tools(context.client, context.clock, in_force, platform.bounds),
        bindings=Bindings(context.client, context.clock, in_force, platform.bounds),
        limits=PlatformLimits(
            default=platform.default_rate,
            runs=platform.runs_rate,
            failures=settings.rates.failed_sign_ins,
            windows=context.limits.windows,
            refusals=metrics.rate_limited,
        ),
        streams=OpenStreams(platform.most_streams),
        trusted_proxies=settings.trusted_proxies,
        agent_runs=AgentRuns(
            context.client,
            agents.find,
            Versions(context.client),
            context.instance_runs,
            finder,
            key_seconds=settings.key_seconds,
        ),
        run_finder=finder,
        draining=context.draining,
        audit=context.audit,
        metrics=metrics,
        database_errors=metrics.database_errors,
        max_body_bytes=settings.max_body_bytes,
        key_seconds=settings.key_seconds,
    )


def _agents(context: ConsoleContext, bounds: TenantBounds) -> Agents:
    feed, archiver = context.feed, context.archiver

    async def delete(namespace: str, name: str) -> None:
        if archiver is None:
            await context.instances.delete(namespace, name, Precondition())
        else:
            await archiver.instances.request(namespace, name, Precondition())

    return Agents(
        context.client,
        context.clock,
        context.agents,
        is_whole=lambda: feed.watch_of_instances.is_whole,
        delete_instance=delete,
        bounds=bounds,
    )


def _tokens(context: ConsoleContext, platform: PlatformSettings) -> AccessTokens:
    callers, clock = context.callers, context.clock
    secrets = SecretFiles(
        platform.keys,
        environment.JWT_SECRET,
        variable=platform.jwt_secret,
        clock=clock.monotonic,
        least_bytes=LEAST_BYTES[platform.tokens.algorithm],
    )
    holders = KeyHolders(
        context.client, callers.keys, clock, static_keys=callers.static_keys, on_use=callers.on_key_use
    )
    return AccessTokens(platform.tokens, secrets, holders, callers.namespaces, clock)
