"""Reports of tokens in the server run's status, by which replicas know each other's and a restart knows the day's."""

import asyncio
import random
from collections.abc import Collection
from typing import Any

import structlog

from sympozium_api import names
from sympozium_api.client import ApiError, ApiUnavailable, Client
from sympozium_api.key_limits import MAX_ENTRIES
from sympozium_api.key_usage import KeyUsage
from sympozium_api.resources import RUNS
from sympozium_api.run import AgentRun
from sympozium_webproxy.budgets.token_budgets import TokenBudgets

log = structlog.get_logger()

_SECONDS = 60.0
"""Seconds between two reports at least: what a crash may lose."""
_ATTEMPTS = 5
"""Attempts to write beside other replicas that write in the same moment."""


class UsageReports:
    """Writer of one replica's tokens. Nothing is written while no key with a budget has used any."""

    def __init__(self, client: Client, namespace: str, instance: str, budgets: TokenBudgets) -> None:
        self._client = client
        self._key = (namespace, names.web_endpoint_run(instance))
        self._budgets = budgets

    async def run(self) -> None:
        """Report until cancelled."""
        while True:
            await asyncio.sleep(_SECONDS * random.uniform(1.0, 1.2))
            await self.report()

    async def report(self) -> None:
        """Add the tokens that only this replica knows to the server run's status. A failure is repeated with the next report."""
        own = self._budgets.unreported()
        if not own:
            return
        try:
            for _ in range(_ATTEMPTS):
                run = AgentRun.model_validate(await self._client.get(RUNS, *self._key))
                usage = _sum(self._stored(run), own, self._budgets.usage())
                if await self._is_written(run, usage):
                    self._budgets.on_reported(own, usage)
                    return
        except (ApiError, ApiUnavailable) as error:
            log.warning("tokens of keys not reported", reason=str(error))

    def _stored(self, run: AgentRun) -> KeyUsage:
        """Return today's tokens in the server run, and no fewer than were seen there before: the run may have been replaced."""
        stored, today = run.status.key_usage, self._budgets.today
        tokens = dict(self._budgets.reported)
        for key, count in (stored.tokens if stored is not None and stored.day == today else {}).items():
            tokens[key] = max(count, tokens.get(key, 0))
        return KeyUsage(day=today, tokens=tokens)

    async def _is_written(self, run: AgentRun, usage: KeyUsage) -> bool:
        """Write the usage. Return False if the server run has changed since it was read."""
        before = run.status.key_usage.tokens if run.status.key_usage else {}
        patch = {
            "metadata": {"resourceVersion": run.metadata.resource_version},
            "status": {"keyUsage": {"day": usage.day, "tokens": _merge_patch(before, usage.tokens)}},
        }
        try:
            await self._client.patch(RUNS, *self._key, patch, subresource="status", metadata_only=True)
        except ApiError as error:
            if error.status == 409:
                return False
            raise
        return True


def _sum(stored: KeyUsage, own: dict[str, int], current: Collection[str]) -> KeyUsage:
    """Return what is stored of today with a replica's own tokens added; of very many keys only those that have a budget now."""
    tokens = stored.tokens
    if len(tokens) >= MAX_ENTRIES:
        tokens = {key: count for key, count in tokens.items() if key in current}
    return KeyUsage(day=stored.day, tokens=tokens | {key: tokens.get(key, 0) + count for key, count in own.items()})


def _merge_patch(before: Collection[str], tokens: dict[str, int]) -> dict[str, Any]:
    return {key: None for key in before if key not in tokens} | tokens
