"""Idempotency-Keys of runs: each has one run of its API key, whichever agents and sessions are asked with it, at whichever replica.

A run's name is that of its session's turn, so two requests with one key meet in a name only if they ask one agent in one session.
Others meet in a label of their runs.
"""

import hashlib
import json
from dataclasses import dataclass

from sympozium_api import names
from sympozium_api.base import Metadata
from sympozium_api.client import ApiError, Client
from sympozium_api.client.collection import Reading
from sympozium_api.resources import RUNS
from sympozium_api.run import AgentRun
from sympozium_domain.sessions.session import Session
from sympozium_runs.key_attempts import KeyReused

_LABEL_DIGITS = 32
_FROM_CACHE = {"resourceVersion": "0"}


@dataclass(frozen=True)
class RunKey:
    """One Idempotency-Key of an API key, with the session that a request asks."""

    client: Client
    namespace: str
    session: Session
    label: str
    """Value of ``names.LABEL_IDEMPOTENCY`` of the runs."""

    @classmethod
    def of(cls, client: Client, namespace: str, session: Session, *, scope: str, key_id: str, key: str) -> "RunKey":
        """Return the Idempotency-Key ``key`` of an API key, in the dialect ``scope``."""
        text = json.dumps([scope, namespace, key_id, key])
        return cls(client, namespace, session, hashlib.sha256(text.encode()).hexdigest()[:_LABEL_DIGITS])

    async def check(self) -> None:
        """Raise KeyReused if another session has the key's run."""
        found = await self._runs(**_FROM_CACHE)
        if found and not any(self._is_own(run) for run in found):
            raise KeyReused

    async def is_first(self, run: AgentRun) -> bool:
        """Return whether a run that was just created is the key's first: no other session's was there when it was created.

        Of requests in the same moment the API server's order decides. Nothing but a list is read unless there are several. After
        minutes the API server has forgotten that order: then a run counts only if it is older than all others, by seconds.
        """
        others = [other for other in await self._runs() if not self._is_own(other)]
        if not others:
            return True
        version = run.metadata.resource_version
        try:
            before = await self._runs(resourceVersion=version, resourceVersionMatch="Exact")
        except ApiError as error:
            if error.status != 410:
                raise
            return all(run.metadata.created < other.created for other in others)
        return all(self._is_own(other) for other in before)

    async def _runs(self, **options: str) -> list[Metadata]:
        """Return the runs that have the key, without those that are discarded because they were not its first."""
        selector, reading = f"{names.LABEL_IDEMPOTENCY}={self.label}", Reading(metadata_only=True)
        found = await self.client.collection(RUNS, self.namespace, reading, labelSelector=selector, **options)
        runs = [Metadata.model_validate(item["metadata"]) for item in found.items]
        return [run for run in runs if names.ANNOTATION_DISCARDED not in run.annotations]

    def _is_own(self, run: Metadata) -> bool:
        return run.labels.get(names.LABEL_SESSION) == self.session.label
