"""The page of a conversation: bounded, whatever its answers are as long as."""

import asyncio
from typing import Any

import pytest

from sympozium_api import names
from sympozium_api.client import ResourceType
from sympozium_api.instance import SympoziumInstance
from sympozium_api.resources import Object
from sympozium_api.run import AgentRun
from sympozium_console.pages.chat import conversations
from sympozium_console.pages.chat.conversations import Conversations, scope_of
from sympozium_domain.callers.caller import admin
from sympozium_domain.sessions.session import Session

INSTANCE = SympoziumInstance.model_validate(
    {
        "metadata": {"name": "demo", "namespace": "default", "uid": "u", "creationTimestamp": "2026-01-01T00:00:00Z"},
        "spec": {"agents": {"default": {"model": "m"}}},
    }
)
CALLER = admin("token")
SESSION = Session.of(INSTANCE, scope_of(CALLER), "key")


class Turns:
    """An API server with the turns of one session, whose answers have a length."""

    def __init__(self, turns: int, length: int, gone: tuple[int, ...] = ()) -> None:
        self._bodies = {SESSION.run_of(turn): _turn(turn, length) for turn in range(1, turns + 1)}
        self._gone = [SESSION.run_of(turn) for turn in gone]

    async def metadata(self, _: ResourceType, __: str, **___: str) -> list[Object]:
        return list(self._bodies.values())

    async def read(self, _: str, name: str) -> AgentRun:
        broken: Object = {"spec": {}} if name in self._gone else {}
        return AgentRun.model_validate(self._bodies[name] | broken)


def _turn(turn: int, length: int) -> Object:
    return {
        "metadata": {
            "name": SESSION.run_of(turn),
            "namespace": "default",
            "uid": f"u{turn}",
            "labels": {names.LABEL_SESSION: SESSION.label},
            "creationTimestamp": f"2026-01-01T00:00:{turn:02}Z",
        },
        "spec": {"agentRef": "demo", "mode": "task", "task": f"question {turn}", "sessionKey": "key"},
        "status": {"phase": "Succeeded", "result": "x" * length},
    }


@pytest.mark.parametrize(
    ("turns", "length", "before", "shown", "earlier"),
    [
        (3, 10, None, [1, 2, 3], 0),
        (30, 10, None, list(range(11, 31)), 10),
        (10, 9_000, None, [7, 8, 9, 10], 6),
        (10, 9_000, 7, [3, 4, 5, 6], 2),
        (2, 90_000, None, [2], 1),
    ],
)
async def test_a_page_has_as_many_turns_as_fit_on_it(
    monkeypatch: pytest.MonkeyPatch, turns: int, length: int, before: int | None, shown: list[int], earlier: int
) -> None:
    monkeypatch.setattr(conversations, "_MOST_LETTERS", 40_000)
    world: Any = Turns(turns, length)
    async with asyncio.timeout(60):
        found = await Conversations(world, world).read(INSTANCE, SESSION.label, CALLER, before=before)
    assert found is not None
    assert [turn.name for turn in found.turns] == [SESSION.run_of(turn) for turn in shown]
    assert (found.first_turn, found.earlier, found.key) == (shown[0], earlier, "key")


async def test_turns_that_cannot_be_read_are_left_out() -> None:
    world: Any = Turns(3, 10, gone=(1, 3))
    found = await Conversations(world, world).read(INSTANCE, SESSION.label, CALLER)
    assert found is not None
    assert [turn.name for turn in found.turns] == [SESSION.run_of(2)]
    assert found.earlier == 0
    world = Turns(2, 10, gone=(1, 2))
    assert await Conversations(world, world).read(INSTANCE, SESSION.label, CALLER) is None
