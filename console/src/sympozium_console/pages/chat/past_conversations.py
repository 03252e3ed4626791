"""A caller's earlier conversations with an agent, for the page of one that begins."""

import asyncio
from dataclasses import dataclass

from pydantic import ValidationError

from sympozium_api import names
from sympozium_api.client import ApiError
from sympozium_api.instance import SympoziumInstance
from sympozium_archive.run_queries import RunFilter, RunQueries
from sympozium_archive.run_rows import RunRow
from sympozium_console.pages.chat.conversations import own_key
from sympozium_console.pages.chat.turn_texts import texts_of
from sympozium_domain.callers.caller import Caller
from sympozium_domain.instance_runs import InstanceRuns

_MOST_RUNS = 200
"""Newest runs of the caller among which conversations are looked for."""
_MOST_SHOWN = 8
"""Conversations, the newest run of each of which is read."""
_MOST_CHARACTERS = 120
_MICRO = 1_000_000


@dataclass(frozen=True)
class PastConversation:
    """One conversation."""

    label: str
    question: str
    """Beginning of its last question."""
    at: float
    """Seconds since 1970 at which that was asked."""
    turns: int
    """Turns among the caller's newest runs."""


async def past_conversations(
    index: RunQueries, runs: InstanceRuns, instance: SympoziumInstance, caller: Caller
) -> list[PastConversation]:
    """Return the newest conversations of a caller that Kubernetes still has. Raises ApiError and ApiUnavailable."""
    namespace, name = instance.key
    wanted = RunFilter(namespace=namespace, instance=name, user=caller.user)
    newest, turns = dict[str, RunRow](), dict[str, int]()
    for row in await index.history(wanted, limit=_MOST_RUNS, offset=0):
        if row.session and row.deleted_at is None:
            newest.setdefault(row.session, row)
            turns[row.session] = turns.get(row.session, 0) + 1
    shown = list(newest.items())[:_MOST_SHOWN]
    found = await asyncio.gather(*(_past(runs, instance, caller, row, turns[key]) for key, row in shown))
    return [conversation for conversation in found if conversation is not None]


async def _past(
    runs: InstanceRuns, instance: SympoziumInstance, caller: Caller, row: RunRow, turns: int
) -> PastConversation | None:
    """Return the conversation of a run; None for one that is gone, that cannot be read, or whose session is not the caller's."""
    try:
        run = await runs.read(row.namespace, row.name)
    except ValidationError:
        return None
    except ApiError as error:
        if error.not_found:
            return None
        raise
    label = run.metadata.labels.get(names.LABEL_SESSION, "")
    if own_key(instance, caller, label, run) is None:
        return None
    question = " ".join(texts_of(run).question.split())
    short = question if len(question) <= _MOST_CHARACTERS else f"{question[:_MOST_CHARACTERS]}…"
    return PastConversation(label, short, row.created_at / _MICRO, turns)
