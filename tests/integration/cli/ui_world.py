"""A cluster in memory with the UI in front of it."""

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from tests.fakes.kubernetes import FakeKubernetes
from textual.pilot import Pilot

from sympozium_api.names import ANNOTATION_ACCEPTED_AT, API_VERSION, LABEL_SOURCE
from sympozium_api.resources import Object
from sympozium_api.timestamps import micro_timestamp, timestamp
from sympozium_cli.chat_events import ChatEvent, Started, Text
from sympozium_cli.cluster import Cluster
from sympozium_cli.tui.app import SympoziumApp
from sympozium_cli.tui.keys import SECTIONS
from sympozium_cli.tui.screens.base import BaseScreen
from sympozium_cli.tui.world import World

PATIENCE = 60.0
"""Seconds that a busy machine may take to show something."""
LONGEST = 240.0
"""Seconds of one UI: a wait within the library, e.g. for an idle screen, has no bound of its own."""
NOW = datetime(2026, 3, 14, 9, 26, 53, tzinfo=UTC)
"""The time that the UI has, so that a picture of it is the same on any day."""


Test = TypeVar("Test", bound=Callable[..., Any])


def covers(section: str, shown: str) -> Callable[[Test], Test]:
    """Say which key of ``keys.SECTIONS`` a test presses; test_tui_keys.py wants one for each."""
    assert any(key.shown == shown for key in SECTIONS[section]), (section, shown)
    return lambda test: test


def instance(name: str, **changes: Any) -> Object:
    spec: Object = {"agents": {"default": {"model": "gpt-5-mini"}}, "skills": []}
    return {
        "apiVersion": API_VERSION,
        "kind": "SympoziumInstance",
        "metadata": {"name": name, "namespace": "team-a", "creationTimestamp": timestamp(NOW - timedelta(days=3))},
        "spec": spec | changes.pop("spec", {}),
        "status": {"phase": "Running", "conditions": []} | changes.pop("status", {}),
    } | changes


def run(name: str, agent: str = "assistant", phase: str = "Succeeded", *, ago: float = 60, **changes: Any) -> Object:
    accepted = NOW - timedelta(seconds=ago)
    ended = accepted + timedelta(seconds=1.4)
    status: Object = {"phase": phase, "conditions": []}
    if phase in {"Succeeded", "Failed", "Cancelled"}:
        status |= {
            "start": "warm",
            "model": "gpt-5-mini",
            "duration": "1.4s",
            "startedAt": timestamp(accepted),
            "completedAt": timestamp(ended),
            "tokenUsage": {"inputTokens": 420, "outputTokens": 81, "totalTokens": 501},
            "times": {
                "acceptedAt": micro_timestamp(accepted),
                "firstTokenAt": micro_timestamp(accepted + timedelta(seconds=0.3)),
                "endedAt": micro_timestamp(ended),
            },
        }
    return {
        "apiVersion": API_VERSION,
        "kind": "AgentRun",
        "metadata": {
            "name": name,
            "namespace": "team-a",
            "creationTimestamp": timestamp(accepted),
            "labels": {LABEL_SOURCE: "web-proxy"},
            "annotations": {ANNOTATION_ACCEPTED_AT: micro_timestamp(accepted)},
        },
        "spec": {"agentRef": agent, "mode": "task", "task": "What is a pod?"} | changes.pop("spec", {}),
        "status": status | changes.pop("status", {}),
    } | changes


def pack(name: str, namespace: str = "team-a", **spec: Any) -> Object:
    skills = [{"name": name, "description": f"use it for {name}", "content": f"# {name}\nDo it well."}]
    return {
        "apiVersion": API_VERSION,
        "kind": "SkillPack",
        "metadata": {"name": name, "namespace": namespace, "creationTimestamp": timestamp(NOW - timedelta(days=3))},
        "spec": {"skills": skills} | spec,
        "status": {"phase": "Ready", "skillCount": 1},
    }


def a_cluster() -> FakeKubernetes:
    """A small cluster with one of each."""
    kubernetes = FakeKubernetes(now=lambda: NOW)
    kubernetes.documents["/version"] = {"gitVersion": "v1.34.0"}
    kubernetes.put(
        instance(
            "assistant",
            spec={"webEndpoint": {"enabled": True}, "skills": [{"skillPackRef": "tone", "params": {"style": "kind"}}]},
            status={
                "phase": "Serving",
                "conditions": [
                    {"type": "Ready", "status": "True", "reason": "Serving", "message": "the HTTP API answers"}
                ],
                "webEndpoint": {
                    "enabled": True,
                    "url": "http://assistant.team-a.svc:8080",
                    "authSecretName": "assistant-key",
                },
            },
        )
    )
    kubernetes.put(
        instance(
            "broken",
            status={
                "phase": "Error",
                "conditions": [
                    {
                        "type": "Ready",
                        "status": "False",
                        "reason": "SecretNotFound",
                        "message": "Secret openai is missing",
                    }
                ],
            },
        )
    )
    kubernetes.put(instance("helper"))
    kubernetes.put(pack("web-endpoint", "sympozium-system"))
    kubernetes.put(pack("tone", parameters=[{"name": "style", "default": "plain", "description": "how to speak"}]))
    kubernetes.put(pack("search"))
    kubernetes.put(
        run("assistant-aaa", ago=60, status={"result": "A **pod** is a group of containers:\n\n- one\n- two"})
    )
    error = {"type": "model_error", "message": "the model refused: quota", "httpStatus": 429}
    pod = {"podName": "assistant-bbb-1234-x", "jobName": "assistant-bbb-1234"}
    kubernetes.put(run("assistant-bbb", phase="Failed", ago=120, status={"error": error, **pod}))
    kubernetes.put(run("assistant-ccc", phase="Running", ago=5, status={"podName": "assistant-ccc-1"}))
    kubernetes.put(run("helper-ddd", "helper", "Pending", ago=3, status={"queuePosition": 2}))
    kubernetes.put(
        run("assistant-web-endpoint", phase="Serving", ago=9000, spec={"mode": "server", "task": None, "request": None})
    )
    kubernetes.put(
        {
            "apiVersion": API_VERSION,
            "kind": "SympoziumConfig",
            "metadata": {"name": "default", "namespace": "sympozium-system"},
            "spec": {"gateway": {"enabled": True, "gatewayClassName": "envoy", "baseDomain": "agents.example.com"}},
            "status": {"phase": "Ready", "gateway": {"ready": True, "address": "10.0.0.7", "listenerCount": 1}},
        }
    )
    kubernetes.put(event("e1", "SympoziumInstance", "broken", "SecretNotFound", "Secret openai is missing", "Warning"))
    kubernetes.put(event("e2", "AgentRun", "assistant-bbb", "Failed", "the model refused: quota", "Warning"))
    kubernetes.put(event("e3", "Pod", "other", "Pulled", "image pulled", "Normal", api_version="v1"))
    return kubernetes


def event(
    name: str, kind: str, about: str, reason: str, message: str, type_: str, *, api_version: str = API_VERSION
) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": name, "namespace": "team-a"},
        "involvedObject": {"apiVersion": api_version, "kind": kind, "name": about, "namespace": "team-a"},
        "type": type_,
        "reason": reason,
        "message": message,
        "count": 2,
        "lastTimestamp": timestamp(NOW - timedelta(seconds=30)),
    }


@dataclass
class Ui:
    """The UI while a test drives it."""

    kubernetes: FakeKubernetes
    app: SympoziumApp
    pilot: Pilot[None]
    edits: list[Callable[[str], str]] = field(default_factory=list)
    asked: list[list[Object]] = field(default_factory=list)
    models: list[str] = field(default_factory=list)
    """Models of the questions."""
    answers: list[Sequence[str | Exception | asyncio.Event]] = field(default_factory=list)

    async def press(self, *keys: str) -> None:
        await self.pilot.press(*keys)
        await self.pilot.pause()

    async def write(self, text: str) -> None:
        """Type a text."""
        await self.press(
            *["space" if sign == " " else sign if sign.isalnum() else NAMES.get(sign, sign) for sign in text]
        )

    @property
    def screen(self) -> Any:
        return self.app.screen

    @property
    def current(self) -> BaseScreen:
        assert self.app.current
        return self.app.current

    @property
    def text(self) -> str:
        """What the terminal shows, line by line."""
        strips = self.app.screen._compositor.render_strips()
        return "\n".join("".join(segment.text for segment in strip) for strip in strips[: self.app.size.height])

    async def until(self, *words: str, absent: Sequence[str] = ()) -> str:
        """Wait until the terminal shows all words; return what it shows."""
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            text = self.text
            if all(word in text for word in words) and not any(word in text for word in absent):
                return text
            await asyncio.sleep(0.03)
        raise AssertionError(f"the terminal does not show {words} or shows {absent}:\n{self.text}")


NAMES = {"-": "minus", ":": "colon", "/": "slash", "!": "exclamation_mark", "?": "question_mark", ".": "full_stop"}


@asynccontextmanager
async def ui(
    kubernetes: FakeKubernetes | None = None,
    *,
    namespace: str | None = None,
    size: tuple[int, int] = (120, 30),
    read_only: bool = False,
) -> AsyncIterator[Ui]:
    """Run the UI without a terminal."""
    kubernetes = kubernetes or a_cluster()
    cluster = Cluster(kubernetes, namespace, "kind", ("--context=kind",), ("kind", "other"))
    world = World(cluster, read_only=read_only, beat_seconds=0.05, clock=lambda: NOW)

    async def edit(text: str) -> str:
        return driven.edits.pop(0)(text)

    async def converse(
        _cluster: Cluster, _namespace: str, _instance: str, messages: Sequence[Object], model: str
    ) -> AsyncGenerator[ChatEvent, None]:
        driven.asked.append(list(messages))
        driven.models.append(model)
        yield Started("assistant-eee")
        for piece in driven.answers.pop(0):
            if isinstance(piece, Exception):
                raise piece
            if isinstance(piece, asyncio.Event):
                await piece.wait()
            else:
                yield Text(piece)

    app = SympoziumApp(world, converse=converse, edit_text=edit)
    async with asyncio.timeout(LONGEST), app.run_test(size=size) as pilot:
        driven = Ui(kubernetes, app, pilot)
        await pilot.pause()
        yield driven
