"""Sessions through the console of a cluster: turns stay in order while the console's pods are killed."""

import json
import os
import random
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import httpx2
import pytest
from tests.e2e.conftest import Namespace, Object, until
from tests.e2e.consoles import Console
from tests.e2e.platforms import installed_platform

from sympozium_api import names

SESSIONS = int(os.environ.get("SYMPOZIUM_TEST_SESSIONS", "4"))
"""Number of sessions. ``make soak`` holds 20 of ten turns, with three replicas on PostgreSQL and Valkey."""
LONG = SESSIONS > 4
TURNS = 10 if LONG else 5
KILLS = 8 if LONG else 1
PATIENCE = 600.0 if LONG else 120.0
POD = ("-l", "app.kubernetes.io/component=console")


@pytest.fixture
def console(namespace: Namespace, system: Namespace) -> Iterator[Console]:
    if LONG:
        with installed_platform(namespace, system) as platform:
            yield platform.console
    else:
        found = Console(system, namespace.name)
        with closing(found.http):
            yield found


def say(console: Console, session: int, turn: int) -> str:
    """Ask for a turn until a console has made its run, as a client with an Idempotency-Key does. Return the run's name."""
    body = {"agentRef": "quiet", "task": f"turn {turn}", "sessionKey": f"session {session}"}
    headers = {"Idempotency-Key": f"{session}/{turn}", "Connection": "close"}
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            response = console.asks("POST", "runs", json=body, headers=headers, timeout=60)
        except httpx2.TransportError:
            response = None
        if response is not None and response.status_code in (200, 201):
            name: str = response.json()["metadata"]["name"]
            return name
        assert response is None or response.status_code in (409, 429, 503), response.text
        assert time.monotonic() < deadline, response and response.text
        time.sleep(0.3)


def contents(run: Object) -> list[str]:
    return [message["content"] for message in json.loads(run["spec"]["requestText"]["json"])["messages"]]


def kill_one(system: Namespace) -> None:
    victim = random.choice(system.list("pods", *POD))["metadata"]["name"]
    system.kubectl("delete", "pod", victim, "--grace-period=0", "--force", "--wait=false", "--ignore-not-found")


@pytest.mark.alone
@pytest.mark.timeout(1800 if LONG else 600)
def test_turns_of_several_sessions_stay_in_order_while_the_consoles_pods_are_killed(
    console: Console, system: Namespace, namespace: Namespace
) -> None:
    def hold(session: int) -> list[str]:
        return [say(console, session, turn) for turn in range(1, TURNS + 1)]

    def turns() -> list[Object]:
        return namespace.list("runs", "-l", names.LABEL_SESSION)

    with ThreadPoolExecutor(SESSIONS) as callers:
        held = [callers.submit(hold, session) for session in range(SESSIONS)]
        for kill in range(KILLS):
            begun = SESSIONS * (1 + kill * (TURNS - 1) // KILLS)
            until(lambda begun=begun: len(turns()) >= begun, within=PATIENCE)  # type: ignore[misc]
            kill_one(system)
        sessions = [conversation.result() for conversation in held]
    for session in sessions:
        assert [name.rpartition("-")[2] for name in session] == [str(turn) for turn in range(1, TURNS + 1)]
        assert namespace.run_ends(session[-1], within=PATIENCE)["phase"] == "Succeeded"
        runs = [namespace.get("run", name) for name in session]
        expected: list[str] = []
        for turn, run in enumerate(runs, start=1):
            expected.append(f"turn {turn}")
            assert contents(run) == expected
            expected.append(run["status"]["result"])
    assert len(turns()) == SESSIONS * TURNS
