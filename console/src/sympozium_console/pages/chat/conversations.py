"""Conversations as their runs have them: the newest turns, and what is left of those before."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from pydantic import ValidationError

from sympozium_api import names
from sympozium_api.base import Metadata
from sympozium_api.client import ApiError, Client
from sympozium_api.instance import SympoziumInstance
from sympozium_api.resources import RUNS
from sympozium_api.run import AgentRun
from sympozium_console.pages.chat.turn_texts import Said
from sympozium_console.pages.chat.turn_view import TurnView, turn_view
from sympozium_console.pages.prose.formatted_text import MOST_CHARACTERS
from sympozium_domain.callers.caller import Caller
from sympozium_domain.instance_runs import InstanceRuns
from sympozium_domain.sessions.session import Session, turns_of

LABEL = re.compile("[0-9a-f]{32}")
"""Value of a session's label, by which the address of a page names a conversation."""
_MOST_TURNS = 20
_MOST_LETTERS = 4 * 1024 * 1024
"""Characters of questions and answers on one page, if it has more than one turn: an answer alone may have eight million."""


@dataclass(frozen=True)
class Conversation:
    """A conversation, the newest turns of it."""

    label: str
    turns: tuple[TurnView, ...]
    first_turn: int
    """Number of the first of these turns."""
    earlier: int
    """Number of turns before these whose runs are there."""
    before: tuple[Said, ...]
    """Messages before the first of the turns, if no run of them is there."""
    left_out: int
    """Number of messages before that nobody has any more."""
    key: str | None
    """The session's key if the caller may continue the conversation; None: it is somebody else's."""
    user: str | None
    """User who asked."""


def scope_of(caller: Caller) -> str:
    """Return the scope of a caller's sessions, as ``POST /api/v1/runs`` has it."""
    return f"api/{caller.identity}"


def own_key(instance: SympoziumInstance, caller: Caller, label: str, run: AgentRun) -> str | None:
    """Return the key of a run's session if the session is the caller's."""
    key = run.spec.session_key
    return key if key is not None and Session.of(instance, scope_of(caller), key).label == label else None


@dataclass(frozen=True)
class Conversations:
    """Reader of conversations. Every method may raise ApiError and ApiUnavailable."""

    client: Client
    runs: InstanceRuns

    async def read(
        self,
        instance: SympoziumInstance,
        label: str,
        caller: Caller,
        *,
        before: int | None = None,
        most: Mapping[str, int] = MappingProxyType({}),
    ) -> Conversation | None:
        """Return a conversation up to the turn ``before``; None if it has no runs (any more).

        ``most``: characters of answers that are formatted, by the name of the run, where more than usual are.
        """
        namespace, name = instance.key
        found = await self.client.metadata(RUNS, namespace, labelSelector=f"{names.LABEL_SESSION}={label}")
        numbers = turns_of(name, label, (Metadata.model_validate(item["metadata"]) for item in found))
        shown = [number for number in numbers if before is None or number < before]
        wanted = shown[-_MOST_TURNS:]
        views, newest, left = list[TurnView](), None, _MOST_LETTERS
        first_turn = wanted[0] if wanted else 1
        for number in reversed(wanted):
            run = await self._run(namespace, numbers[number].name)
            if run is None:
                continue
            view = await turn_view(run, most=most.get(run.metadata.name, MOST_CHARACTERS))
            left -= view.texts.size
            if views and left < 0:
                first_turn = number + 1
                break
            newest = newest or run
            views.insert(0, view)
        if newest is None:
            return None
        earlier, first = sum(number < first_turn for number in shown), views[0].texts
        return Conversation(
            label=label,
            turns=tuple(views),
            first_turn=first_turn,
            earlier=earlier,
            before=() if earlier else first.before,
            left_out=0 if earlier else first.left_out,
            key=own_key(instance, caller, label, newest),
            user=newest.spec.caller.user if newest.spec.caller else None,
        )

    async def _run(self, namespace: str, name: str) -> AgentRun | None:
        """Return a run with its texts; None for one that is gone or cannot be read."""
        try:
            return await self.runs.read(namespace, name)
        except ApiError as error:
            if not error.not_found:
                raise
        except ValidationError:
            pass
        return None
