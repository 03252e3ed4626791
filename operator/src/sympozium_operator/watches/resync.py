"""Resync: the leader begins with all objects of the cluster, and lists them again from time to time."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from functools import partial
from typing import Any

import structlog

from sympozium_api import names
from sympozium_api.client import ApiError, ApiUnavailable
from sympozium_api.resources import (
    INSTANCES,
    JOBS,
    POLICIES,
    PROVIDERS,
    RUNS,
    SKILL_PACKS,
    TOOL_BINDINGS,
    TOOLS,
    Object,
    ResourceType,
)
from sympozium_api.run_selection import NOT_ENDED
from sympozium_operator.cluster.object_guard import CountUnreadable, guarded
from sympozium_operator.cluster.scoped_lists import ScopedLists
from sympozium_operator.operator_settings import OperatorSettings
from sympozium_operator.policy.pod_status import controller_uid, job_ended
from sympozium_operator.reconcile.console_secrets import ConsoleSecrets
from sympozium_operator.reconcile.provider_trials import ProviderTrials
from sympozium_operator.reconcile.run_pruner import RunPruner
from sympozium_operator.reconcile.tool_reconciler import ALL
from sympozium_operator.reconcile.unnamed_credentials import UnnamedCredentials
from sympozium_operator.reconcile.version_poll import VersionPoll
from sympozium_operator.result import Key, KeyKind
from sympozium_operator.scheduling.capacity import RunKey
from sympozium_operator.scheduling.fair_queue import FairQueue
from sympozium_operator.scheduling.shards import Shards
from sympozium_operator.scheduling.work_queue import WorkQueue
from sympozium_operator.watches.selectors import OURS

PRUNE_EVERY = 300.0
"""Seconds between two prunings, which check the bytes of all texts."""
BOUND_BYTES_EVERY = 60.0
"""Seconds between checks of the bytes that namespaces store in AgentRunParts."""
API_KEYS_EVERY = SKILLS_EVERY = 5.0
"""Seconds between checks of the Secrets with API keys, and of one ConfigMap of each instance (decisions 0016 and 0028)."""
HOSTNAMES_EVERY = 5.0
"""Seconds between checks of the routes that have the host names for which instances wait (decision 0012)."""
OTHERS_EVERY = 60.0
"""Seconds between checks of what else the operator may not watch: models' Secrets, session keys, models' Services (decision 0051)."""
CONSOLE_SECRETS_EVERY = 30.0
"""Seconds between checks that the console's Secrets exist."""
TRIALS_EVERY = 1.0
"""Seconds between two looks for Providers that are to be tried."""
CREDENTIALS_EVERY = 60.0
"""Seconds between checks whether objects name the credentials that callers of the console have sent."""
FIRST_RETRY = 1.0
LONGEST_RETRY = 10.0
"""Seconds between two attempts of a list that fails."""

log = structlog.get_logger()


@dataclass(frozen=True, kw_only=True)
class Resync:
    """Feeds the queue from lists, so that a missed event is made good."""

    lists: ScopedLists
    queue: WorkQueue
    fair_queue: FairQueue
    pruner: RunPruner
    console_secrets: ConsoleSecrets
    credentials: UnnamedCredentials
    trials: ProviderTrials
    api_keys: VersionPoll
    skills: VersionPoll
    others: VersionPoll
    hostnames: VersionPoll
    shards: Shards
    settings: OperatorSettings
    count_unreadable: CountUnreadable
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep

    async def run(self, watches: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Resync and watch for ever. The watches begin once it is known which places are taken, with all that exists by then."""
        self.queue.open()
        await self.until_done(self.seed)
        await asyncio.gather(
            watches(),
            self._forever(self.instances_again),
            self._every(self.settings.run_resync, self.runs),
            self._every(self.settings.instance_resync, self.tools),
            self._every(TRIALS_EVERY, self.try_providers),
            self._every(self.settings.instance_resync, self.policies),
            self._every(API_KEYS_EVERY, partial(self.poll, self.api_keys)),
            self._every(SKILLS_EVERY, partial(self.poll, self.skills)),
            self._every(OTHERS_EVERY, partial(self.poll, self.others)),
            self._every(HOSTNAMES_EVERY, partial(self.poll, self.hostnames)),
            self._every(PRUNE_EVERY, self.pruner.prune),
            self._every(BOUND_BYTES_EVERY, self.pruner.bound_bytes),
            self._every(CREDENTIALS_EVERY, self.credentials.remove),
            *([self._forever(self.keep_console_secrets)] if self.shards.has_home else []),
        )

    async def seed(self) -> None:
        """Add everything once: SkillPacks, instances, runs."""
        self.queue.add(*await self._keys("skillpack", SKILL_PACKS))
        await self.tools()
        await self.policies()
        self.queue.add_spread(await self._keys("instance", INSTANCES))
        await self.runs()

    async def instances_again(self) -> None:
        """Add every instance, and by it its server run, spread evenly over the interval, because thousands at once would delay runs."""
        keys, interval = await self._keys("instance", INSTANCES), self.settings.instance_resync
        for number, key in enumerate(keys, start=1):
            self.queue.add(key, after=interval * number / len(keys))
        await self.sleep(interval)

    async def tools(self) -> None:
        """Add every Provider, and every namespace that has one, Tools or ToolBindings. Without their CRDs there are none."""
        namespaces = dict[str, None]()
        for kind in (TOOLS, TOOL_BINDINGS, PROVIDERS):
            try:
                items = await self.lists.metadata(kind)
            except ApiError as error:
                if not error.not_found:
                    raise
                continue
            namespaces |= dict.fromkeys(item["metadata"]["namespace"] for item in items)
            if kind is PROVIDERS:
                found = [item["metadata"] for item in items]
                self.queue.add_spread([Key("provider", each["namespace"], each["name"]) for each in found])
        self.queue.add_spread([Key("tools", namespace, ALL) for namespace in namespaces])

    async def try_providers(self) -> None:
        """Let the egress guard call the Providers that are due, and add each whose result is there."""
        async for key in self.trials.try_due():
            self.queue.add(key)

    async def policies(self) -> None:
        """Add every SympoziumPolicy. On a cluster without their CRD there are none."""
        try:
            self.queue.add(*await self._keys("policy", POLICIES))
        except ApiError as error:
            if not error.not_found:
                raise

    async def poll(self, poll: VersionPoll) -> None:
        """Add every instance and server run of which a polled object appeared, changed or was deleted."""
        async for key in poll.changed():
            self.queue.add(key)

    async def keep_console_secrets(self) -> None:
        """Generate the console's Secrets that are missing, and wait for the next check."""
        await self.console_secrets.keep()
        await self.sleep(CONSOLE_SECRETS_EVERY)

    async def runs(self) -> None:
        """Add every run that has not ended, oldest first, and every run whose Job has ended; rebuild the slots that runs hold.

        Server runs are left out, because each comes with its instance.
        """
        mark = self.fair_queue.mark()
        runs = await self.lists.metadata(RUNS, fieldSelector=NOT_ENDED)
        jobs = await self.lists.objects(JOBS, labelSelector=f"{OURS},{names.LABEL_RUN}")
        runs = [run["metadata"] for run in sorted(runs, key=lambda run: str(run["metadata"]["creationTimestamp"]))]
        open_runs = {run["uid"]: (run["namespace"], run["name"], run["uid"]) for run in runs}
        key_ids = {run["uid"]: (run.get("annotations") or {}).get(names.ANNOTATION_KEY_ID, "") for run in runs}
        for job in jobs:
            with guarded(self.count_unreadable, JOBS, job["metadata"]):
                self._recover(job, open_runs, key_ids)
        self.fair_queue.retain(open_runs.values(), before=mark)
        keys = (Key("run", run["namespace"], run["name"]) for run in runs)
        self.queue.add(*(key for key in keys if key.is_urgent))

    def _recover(self, job: Object, open_runs: dict[str, RunKey], key_ids: dict[str, str]) -> None:
        """Give an open run with a Job its slot; without an open run, reconcile the ended Job's."""
        labels, run = job["metadata"]["labels"], open_runs.get(controller_uid(job) or "")
        if run is not None:
            instance, created = (run[0], labels[names.LABEL_INSTANCE]), job["metadata"]["creationTimestamp"]
            self.fair_queue.enqueue(run, instance, created, key_id=key_ids[run[2]])
            self.fair_queue.bind_job(run, job["metadata"]["name"])
        elif job_ended(job):
            self.queue.add(Key("run", job["metadata"]["namespace"], labels[names.LABEL_RUN]))

    async def _keys(self, kind: KeyKind, resource: ResourceType) -> list[Key]:
        metadatas = [item["metadata"] for item in await self.lists.metadata(resource)]
        return [Key(kind, metadata["namespace"], metadata["name"]) for metadata in metadatas]

    async def _forever(self, step: Callable[[], Awaitable[None]]) -> None:
        while True:
            await self.until_done(step)

    async def _every(self, seconds: float, step: Callable[[], Awaitable[None]]) -> None:
        while True:
            await self.sleep(seconds)
            await self.until_done(step)

    async def until_done(self, step: Callable[[], Awaitable[None]]) -> None:
        """Repeat a step until it succeeds, with growing delay: neither the API server nor an object in it ends the leader."""
        delay = FIRST_RETRY
        while True:
            try:
                return await step()
            except (ApiError, ApiUnavailable) as error:
                log.warning("resync failed, retrying", error=str(error))
            except Exception:
                log.exception("resync failed, retrying")
            await self.sleep(delay)
            delay = min(2 * delay, LONGEST_RETRY)
