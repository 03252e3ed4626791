"""Turns of sessions in the archive, while it is away."""

import asyncio
from pathlib import Path

import pytest

from sympozium_archive.database import Database
from sympozium_archive.run_queries import RunQueries
from sympozium_archive.unavailable import DatabaseUnavailable
from sympozium_domain.sessions import past_turns
from sympozium_domain.sessions.past_turns import PastTurn, PastTurns
from sympozium_domain.sessions.session import Session


@pytest.mark.parametrize("is_hanging", [True, False])
async def test_a_session_begins_anew_while_the_archive_does_not_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_hanging: bool
) -> None:
    async def away(*_: object, **__: object) -> None:
        if is_hanging:
            await asyncio.Event().wait()
        raise DatabaseUnavailable("unreachable", "away")

    database = await Database.open_scratch(str(tmp_path / "index.db"))
    monkeypatch.setattr(RunQueries, "history", away)
    monkeypatch.setattr(past_turns, "_READ_SECONDS", 0.05)
    assert await PastTurns(database).newest("default", Session("demo", "uid", "", "s")) == PastTurn()
    await database.close()
