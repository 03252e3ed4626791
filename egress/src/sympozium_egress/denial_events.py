"""Events on runs whose calls a SympoziumPolicy does not allow: one for each run and kind of denial, however often the model tries."""

import asyncio
from collections import OrderedDict

import structlog

from sympozium_api.client import ApiError, ApiUnavailable, Client
from sympozium_api.clock import Clock
from sympozium_api.effective_policy import Denial
from sympozium_api.event_body import event_body
from sympozium_api.names import EGRESS
from sympozium_api.resources import EVENTS
from sympozium_api.run import AgentRun

log = structlog.get_logger()

_REMEMBERED = 4096
"""Runs and kinds of denials whose Event was written."""
_MOST_AT_ONCE = 16
"""Most Events being written; more denials at the same time have none, because they must not burden the API server."""


class DenialEvents:
    """Writer of Events, beside the calls, which do not wait for them. An Event that cannot be written is logged."""

    def __init__(self, client: Client, clock: Clock) -> None:
        self._client = client
        self._clock = clock
        self._written: OrderedDict[tuple[str, str], None] = OrderedDict()
        self._writing: set[asyncio.Task[None]] = set()

    def emit(self, run: AgentRun, function: str, denial: Denial) -> None:
        """Emit the Event of a refused call of ``function``, unless the run has one of this kind."""
        key = (run.metadata.uid, denial.kind)
        if key in self._written or len(self._writing) >= _MOST_AT_ONCE:
            return
        self._written[key] = None
        if len(self._written) > _REMEMBERED:
            self._written.popitem(last=False)
        task = asyncio.get_running_loop().create_task(self._write(run, function, denial))
        self._writing.add(task)
        task.add_done_callback(self._writing.discard)

    async def _write(self, run: AgentRun, function: str, denial: Denial) -> None:
        """Write one Event. Its text names policy and field, but no host that a model has chosen."""
        rule = f": {denial}" if denial.kind == "policy" else f" by the SympoziumPolicy {denial.policy} ({denial.field})"
        body = event_body(
            run,
            type="Warning",
            reason="PolicyDenied",
            message=f"A call of {function} was refused{rule}.",
            component=EGRESS,
            now=self._clock.now(),
        )
        try:
            await self._client.create(EVENTS, run.metadata.namespace, body)
        except (ApiError, ApiUnavailable) as error:
            log.warning("event not written", namespace=run.metadata.namespace, run=run.metadata.name, error=str(error))
