"""Turns that Kubernetes has no more: a session continues from the archive."""

import asyncio
from dataclasses import dataclass, field
from typing import Any

import structlog

from sympozium_archive.database import Database
from sympozium_archive.run_contents import Contents
from sympozium_archive.run_queries import RunFilter, RunQueries
from sympozium_archive.run_rows import RunRow
from sympozium_archive.unavailable import DatabaseUnavailable
from sympozium_domain.sessions.history import History, answered
from sympozium_domain.sessions.session import Session

_READ_SECONDS = 1.0
"""Seconds that the archive has to answer, because runs start whether it can or not."""
_ROWS = 50
"""Newest turns of a session that are looked at: those that failed leave the conversation as it was before."""

log = structlog.get_logger()


@dataclass(frozen=True)
class PastTurn:
    """The newest turn that the archive has, and the conversation up to its answer; 0: it has none."""

    number: int = 0
    history: History = field(default_factory=History)


@dataclass(frozen=True)
class PastTurns:
    """Reader of archived turns."""

    database: Database

    async def newest(self, namespace: str, session: Session) -> PastTurn:
        """Return the newest turn of a session. While the database is away there is none, because runs go on without it."""
        reading = asyncio.ensure_future(self._newest(namespace, session))
        done, _ = await asyncio.wait({reading}, timeout=_READ_SECONDS)
        try:
            if done:
                return reading.result()
            reading.cancel()  # not waited for: a connection whose server hangs takes seconds to be closed
            error = "it has not answered"
        except DatabaseUnavailable as failure:
            error = str(failure)
        log.warning("a session's earlier turns cannot be read", namespace=namespace, error=error)
        return PastTurn()

    async def _newest(self, namespace: str, session: Session) -> PastTurn:
        wanted = RunFilter(namespace=namespace, instance=session.instance, session=session.key)
        rows = await RunQueries(self.database).history(wanted, limit=_ROWS, offset=0)
        # A key id is written by the console alone: whoever else may create runs must not put words into a session.
        turns = {turn: row for row in rows if row.key_id and (turn := session.number_of(row.name)) is not None}
        newest = max(turns, default=0)
        for turn in sorted(turns, reverse=True):
            if turns[turn].phase == "Succeeded":
                return PastTurn(newest, await self._history(turns[turn]))
        return PastTurn(newest)

    async def _history(self, row: RunRow) -> History:
        content = await Contents(self.database).read(row.uid) or {}
        request = content.get("request")
        messages = request.get("messages") if isinstance(request, dict) else None
        return answered(messages, _answer(content), row.name)


def _answer(content: dict[str, Any]) -> Any:
    """Return the message that a run answered."""
    choices = content.get("choices")
    if isinstance(choices, list) and choices and isinstance(choices[0], dict):
        return choices[0].get("message")
    return {"content": content.get("answer")}
