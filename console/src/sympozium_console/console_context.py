"""The parts that the routes work with, injected once when the application is created."""

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from typing import Any

from starlette.requests import Request

from sympozium_api import environment
from sympozium_api.client import Client
from sympozium_api.clock import Clock
from sympozium_api.resources import CONFIGS
from sympozium_archive.audit_log import AuditLog
from sympozium_archive.database import Database
from sympozium_archive.run_queries import RunQueries
from sympozium_archive.usage_queries import UsageQueries
from sympozium_console.archiver.assembly import ArchiverParts, assemble_archiver
from sympozium_console.caller_limits import CallerLimits
from sympozium_console.change_feed.feed import ChangeFeed, assemble_feed
from sympozium_console.console_callers import ConsoleCallers, assemble_callers
from sympozium_console.console_metrics import ConsoleMetrics
from sympozium_console.console_settings import ConsoleSettings
from sympozium_console.instance_repository import InstanceRepository
from sympozium_console.object_repository import ObjectRepository
from sympozium_console.run_index.index_state import IndexState
from sympozium_console.run_index.run_index import RunIndex
from sympozium_console.run_repository import RunRepository
from sympozium_console.skill_catalog import SkillCatalog
from sympozium_domain.agents.agent_catalog import AgentCatalog
from sympozium_domain.audit.audit_trail import AuditTrail, ChangeAudit, ChangeLog
from sympozium_domain.instance_runs import InstanceRuns
from sympozium_domain.object_pages import ObjectPages
from sympozium_domain.sessions.past_turns import PastTurns
from sympozium_http.bearer_keys import BearerKeys

Loop = Callable[[], Coroutine[Any, Any, None]]
"""Function that runs without end beside the server, and is started again when it fails."""


@dataclass(frozen=True)
class ConsoleContext:
    """The parts of one console."""

    settings: ConsoleSettings
    client: Client
    clock: Clock
    database: Database
    """The archive, or an index of the runs that Kubernetes has."""
    index: IndexState
    indexed_runs: RunQueries
    usage: UsageQueries
    callers: ConsoleCallers
    limits: CallerLimits
    instances: InstanceRepository
    configs: ObjectRepository
    runs: RunRepository
    instance_runs: InstanceRuns
    skills: SkillCatalog
    feed: ChangeFeed
    audit: ChangeAudit
    agents: AgentCatalog
    """Agents of the platform API, as the feed's watch of instances shows them; empty where that API is off."""
    archiver: ArchiverParts | None
    """Archiver of runs; None: the console has no archive."""
    metrics: ConsoleMetrics
    loops: Mapping[str, Loop]
    """Loops beside the server, by name."""
    draining: asyncio.Event = field(default_factory=asyncio.Event)
    """Event set when the process begins to stop: it ends open event streams, which would outlast the grace period."""


def assemble(
    client: Client, settings: ConsoleSettings, clock: Clock, database: Database, metrics: ConsoleMetrics
) -> ConsoleContext:
    """Return the parts of a console that acts with the permissions of ``client``."""
    pages = ObjectPages(client)
    instances = InstanceRepository(client, pages)
    tokens = BearerKeys(settings.tokens, prefix=environment.CONSOLE_TOKEN_PREFIX, clock=clock.monotonic)
    metrics.bind(database, lambda: tokens.ids)
    scopes = settings.watch_namespaces or (None,)
    loops: dict[str, Loop] = {}
    audit: ChangeAudit = ChangeLog()
    archiver: ArchiverParts | None = None
    if settings.archive is not None:
        audit = trail = AuditTrail(AuditLog(database), metrics.audit)
        loops["audit"] = trail.run
        archiver = assemble_archiver(
            client, settings.archive, instances, scopes=scopes, clock=clock, database=database, metrics=metrics
        )
        loops["archiver"] = archiver.archiver.run
    index = RunIndex(
        client=client,
        database=database,
        clock=clock,
        metrics=metrics,
        state=IndexState(database, clock),
        scopes=scopes,
        keeps_gone=archiver is not None,
        wake_archiver=archiver.contents.wake if archiver else lambda: None,
    )
    loops["index"] = index.run
    instance_runs = InstanceRuns(
        client,
        clock,
        metrics.runs,
        pod_ip=settings.pod_ip,
        namespaces=scopes,
        session_tokens=settings.session_tokens,
        past=PastTurns(database) if settings.archive is not None else None,
    )
    loops |= {
        f"open runs of {scope}" if scope else "open runs": watch.run for scope, watch in instance_runs.watches.items()
    }
    callers = assemble_callers(client, settings, clock, database, tokens)
    loops |= callers.loops
    skills = SkillCatalog(pages, built_in=settings.namespace, scopes=scopes)
    agents = AgentCatalog()
    feed = assemble_feed(
        client,
        clock,
        scopes,
        skills,
        namespace=settings.namespace,
        open_streams=metrics.change_streams,
        agents=None if settings.platform is None else agents,
    )
    loops |= feed.loops
    return ConsoleContext(
        settings=settings,
        client=client,
        clock=clock,
        database=database,
        index=index.state,
        indexed_runs=RunQueries(database),
        usage=UsageQueries(database),
        callers=callers,
        limits=CallerLimits.of(settings, clock, metrics),
        instances=instances,
        configs=ObjectRepository(client, CONFIGS, "config"),
        runs=RunRepository(client, pages),
        instance_runs=instance_runs,
        skills=skills,
        feed=feed,
        audit=audit,
        agents=agents,
        archiver=archiver,
        metrics=metrics,
        loops=loops,
    )


def of_request(request: Request) -> ConsoleContext:
    """Return the context of the application that serves a request."""
    context: ConsoleContext = request.app.state.context
    return context
