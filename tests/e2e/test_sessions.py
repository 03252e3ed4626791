"""Sessions through the console of a cluster: turns stay in order while the console's pod is killed."""

import json
import time
from concurrent.futures import ThreadPoolExecutor

import httpx2
import pytest
from tests.e2e.conftest import Namespace, Object, until
from tests.e2e.consoles import Console, console

from sympozium_api import names

__all__ = ["console"]

SESSIONS, TURNS = 4, 5
PATIENCE = 120.0
POD = ("-l", "app.kubernetes.io/component=console")


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


@pytest.mark.alone
def test_turns_of_several_sessions_stay_in_order_while_the_consoles_pod_is_killed(
    console: Console, system: Namespace, namespace: Namespace
) -> None:
    def hold(session: int) -> list[str]:
        return [say(console, session, turn) for turn in range(1, TURNS + 1)]

    with ThreadPoolExecutor(SESSIONS) as callers:
        held = [callers.submit(hold, session) for session in range(SESSIONS)]
        until(lambda: len(namespace.list("runs", "-l", names.LABEL_SESSION)) >= SESSIONS, within=PATIENCE)
        system.kubectl("delete", "pod", *POD, "--grace-period=0", "--force", "--wait=false")
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
    made = namespace.list("runs", "-l", names.LABEL_SESSION)
    assert len(made) == SESSIONS * TURNS
