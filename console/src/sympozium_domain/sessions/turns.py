"""Turns of sessions: each is the run that follows the one before it, at whichever replica it was asked for.

The run's name has the turn's number, so the API server alone decides which of two requests at once has a turn; the other one
waits for that run and takes the next number. Nothing about a session is kept in the process.
"""

import asyncio
import itertools
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Self

from sympozium_api import names
from sympozium_api.base import Metadata
from sympozium_api.client import ApiError, Client
from sympozium_api.instance import SympoziumInstance
from sympozium_api.resources import RUNS
from sympozium_api.run import AgentRun
from sympozium_domain.sessions.history import History, bounded, continued, history_after
from sympozium_domain.sessions.past_turns import PastTurn, PastTurns
from sympozium_domain.sessions.patience import Patience
from sympozium_domain.sessions.session import Session
from sympozium_domain.sessions.waiting_line import WaitingLines
from sympozium_http.byte_budget import ByteBudget
from sympozium_runs.key_attempts import KeyReused, TurnCancelled
from sympozium_runs.model_choice import chosen_model
from sympozium_runs.run_queue import QueueFull
from sympozium_runs.run_request import RunRequest, SessionTurn
from sympozium_runs.runs import RunHandle, Runs

ReadInstance = Callable[[], Awaitable[SympoziumInstance]]

TURN_SECONDS = 600.0
"""Seconds for which a request waits for the turns before it."""
_FROM_CACHE = {"resourceVersion": "0"}
"""Lets the API server list from its cache, which may be a moment old: a turn that is not listed yet is met by its name."""
_FRESH_SECONDS = 1.0
"""Seconds for which an instance counts as just read."""
_STORED_SECONDS = 0.2
"""Seconds between reads of a run whose end was told before it was stored."""


class NameTaken(Exception):
    """A run that is no turn of the session has the name of its next turn; the message names the run."""


@dataclass(frozen=True)
class _Request:
    """A caller's request for the next turn of a session."""

    instance: SympoziumInstance
    session: Session
    run: RunRequest
    """The request with the new messages only."""
    idempotency: str | None
    """Value of the label by which the turns of the request's Idempotency-Key are found; None: it has none."""
    identity: str
    """Text that a repeated request shares, and no other one."""

    @property
    def namespace(self) -> str:
        return self.instance.metadata.namespace

    def of_instance(self, instance: SympoziumInstance) -> Self:
        """Return the request to the instance as it is by now, whose models may be others. Raises Refusal 404 (no such model).

        The model of a version stays.
        """
        if self.run.version is not None:
            return replace(self, instance=instance)
        model = chosen_model(instance, self.run.body.get("model"))
        return replace(self, instance=instance, run=replace(self.run, model=model))

    def as_turn(self, run: str, history: History) -> RunRequest:
        """Return the request for the run of this name, with a history before its own messages."""
        turn = SessionTurn(
            run,
            self.session.label,
            self.session.key,
            self.identity,
            self.idempotency,
            history=len(history.messages),
            left_out=history.left_out,
        )
        body, text = continued(history, self.run.body, self.run.body_text)
        original = self.run.original_body or self.run.body
        return replace(self.run, body=body, body_text=text, original_body=original, turn=turn)


class Turns:
    """Starts the turns of sessions with any instance."""

    def __init__(
        self, client: Client, runs: Runs, budget: ByteBudget, *, most_tokens: int, past: PastTurns | None = None
    ) -> None:
        """``budget``: that of the process. ``most_tokens``: bound of the history that a turn begins with, as it is estimated.

        ``past``: turns that Kubernetes has no more; None: they are forgotten.
        """
        self._past = past
        self._client = client
        self._runs = runs
        self._most_tokens = most_tokens
        self._lines = WaitingLines(budget)

    async def start(
        self,
        instance: SympoziumInstance,
        session: Session,
        request: RunRequest,
        patience: Patience,
        *,
        read_again: ReadInstance | None = None,
        is_new: bool = False,
        idempotency: str | None = None,
    ) -> RunHandle:
        """Create the run of a session's next turn, once the turns before it have ended.

        After a wait the instance is read again with ``read_again``, whose exceptions pass: it may take no new runs by then, and
        have another model.

        ``is_new``: the session can have no turn but that of the same request, so that none is listed. ``idempotency``: value of the
        label by which the turns of the request's Idempotency-Key are found; None: the session's own.

        The request's messages are the new ones; those of the turns before go before them. With an Idempotency-Key, find the
        turn that the same key and body created before; a cancelled one is followed by another.
        Raises SessionBusy, GivenUp, NameTaken, and as ``Runs.start`` does KeyReused, CancelPending, QueueFull, ApiError,
        ApiUnavailable.
        """
        wanted = _wanted(instance, session, request, idempotency)
        async with self._lines.head(session.label, len(request.text), patience):
            turns = {} if is_new else await self._turns(wanted, **_FROM_CACHE)
            if handle := await self._repeated(wanted, turns):
                return handle
            newest = max(turns, default=0)
            past = PastTurn() if newest or is_new else await self._past_turn(wanted)
            while True:
                history = await self._history(wanted, newest, patience) if newest > past.number else past.history
                if history is None:
                    newest = max(await self._turns(wanted), default=0)
                    past = PastTurn() if newest else await self._past_turn(wanted)
                    continue
                newest = max(newest, past.number)
                if read_again is not None and patience.waited > _FRESH_SECONDS:
                    wanted = wanted.of_instance(await read_again())
                turn = await asyncio.to_thread(self._fitting, wanted, session.run_of(newest + 1), history)
                try:
                    return await self._runs.start(wanted.instance, turn)
                except TurnCancelled:  # an earlier attempt of the same key
                    newest += 1
                except KeyReused:
                    await self._refuse_unless_turn(wanted, newest + 1)
                    newest += 1

    async def _past_turn(self, wanted: _Request) -> PastTurn:
        """Return the newest turn of the session that Kubernetes has no more."""
        return await self._past.newest(wanted.namespace, wanted.session) if self._past else PastTurn()

    async def _turns(self, wanted: _Request, **options: str) -> dict[int, Metadata]:
        """Return the session's turns that Kubernetes has, the oldest first."""
        selector = wanted.session.selector
        items = await self._client.metadata(RUNS, wanted.namespace, labelSelector=selector, **options)
        return wanted.session.turns(Metadata.model_validate(item["metadata"]) for item in items)

    async def _repeated(self, wanted: _Request, turns: dict[int, Metadata]) -> RunHandle | None:
        """Join the newest turn of the request's Idempotency-Key; None if there is none, or it was cancelled. Raises KeyReused."""
        if wanted.idempotency is None:
            return None
        of_key = [run.name for run in turns.values() if run.labels.get(names.LABEL_IDEMPOTENCY) == wanted.idempotency]
        if not of_key:
            return None
        try:
            return await self._runs.start(
                wanted.instance, replace(wanted.as_turn(of_key[-1], History()), is_retry_only=True)
            )
        except (TurnCancelled, QueueFull):  # a full queue: the run is gone by now
            return None

    async def _history(self, wanted: _Request, newest: int, patience: Patience) -> History | None:
        """Return the history after a turn, once it has ended; None if its run is gone."""
        run = await self._ended(wanted.namespace, wanted.session.run_of(newest), patience)
        return None if run is None else await asyncio.to_thread(history_after, run)

    async def _ended(self, namespace: str, name: str, patience: Patience) -> AgentRun | None:
        """Wait for the end of a run, and return the run; None if it is gone. Its end may be told before it is stored."""
        for pause in itertools.chain((0.0,), itertools.repeat(_STORED_SECONDS)):
            try:
                handle = await self._runs.follow(namespace, name)
            except ApiError as error:
                if error.not_found:
                    return None
                raise
            try:
                if handle.run.ended:
                    return handle.run
                await patience.wait(handle.end())
            finally:
                handle.close()
            await patience.wait(asyncio.sleep(pause))
        return None

    def _fitting(self, wanted: _Request, run: str, history: History) -> RunRequest:
        """Return the request for a turn with as much of its history as the bound and the AgentRun allow."""
        most = self._most_tokens
        while True:
            kept = bounded(history, most)
            turn = wanted.as_turn(run, kept)
            if not (turn.has_parts and kept.messages):
                return turn
            most //= 2

    async def _refuse_unless_turn(self, wanted: _Request, turn: int) -> None:
        """Return if a turn is another request's, which is to be waited for, or is gone.

        Raises NameTaken, and KeyReused if the turn is of the request's own Idempotency-Key, with another body.
        """
        name = wanted.session.run_of(turn)
        found = await self._client.find_metadata(RUNS, wanted.namespace, name)
        if found is None:
            return
        run = Metadata.model_validate(found["metadata"])
        if wanted.session.turn_of(run) != turn:
            raise NameTaken(name)
        if wanted.idempotency is not None and run.labels.get(names.LABEL_IDEMPOTENCY) == wanted.idempotency:
            raise KeyReused


def _wanted(instance: SympoziumInstance, session: Session, request: RunRequest, idempotency: str | None) -> _Request:
    key = request.idempotency_key
    label = None if key is None else idempotency or session.idempotency_label(request.key_id, key)
    return _Request(instance, session, request, label, label or secrets.token_hex(16))
