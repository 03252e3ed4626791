import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from tests.fakes import agent_thread
from tests.fakes.model import Model, serving
from tests.unit.agent.surface import Surface

from sympozium_agent.agent_settings import AgentSettings, Timeouts
from sympozium_agent.waiting import Event
from sympozium_api.agent_records import Task
from sympozium_api.json_members import compact
from sympozium_api.values import replace

QUICK = Timeouts(
    connect=30,
    task=60,
    acknowledgement=30,
    first_backoff=0.002,
    longest_backoff=0.01,
    delivery_grace=30,
    shutdown_grace=30,
    idle_exit_delay=0,
    model_backoff=0.002,
    model_retry_after=0,
)
IMPATIENT = replace(QUICK, acknowledgement=0.3, delivery_grace=-59.7, shutdown_grace=0.3)
"""Gives up an end record that nobody takes 0.3 s after the run's begin: the grace counts from the deadline of ``task_for``, a minute."""
KEY = "sk-the-models-key"
TOKEN = "the-pods-token"
PROMPT = "a prompt that nobody else may read"


class Pod:
    """The agent's surroundings: its files, and what it is told."""

    def __init__(self, directory: Path) -> None:
        self.termination_file = directory / "termination-log"
        self.token_file = directory / "token"
        self.key_file = directory / "api-key"
        self.token_file.write_text(TOKEN + "\n")
        self.key_file.write_text(KEY + "\n")
        self.stop = Event()
        self.environ: dict[str, str] = {}

    def settings(self, *urls: str) -> AgentSettings:
        return AgentSettings(
            run="run-1",
            addresses=urls,
            token_file=self.token_file,
            key_files=(self.key_file.with_name("provider-key"), self.key_file),
            keys_dir=self.key_file.parent,
            headers_dir=self.key_file.with_name("headers"),
            termination_file=self.termination_file,
        )

    async def run(self, *surfaces: Surface, timeouts: Timeouts = QUICK) -> int:
        """The exit code of an agent that knows these replicas."""
        settings = self.settings(*(surface.url for surface in surfaces))
        async with asyncio.timeout(90):
            return await agent_thread.started(settings, self.stop, environ=self.environ, timeouts=timeouts)

    @property
    def termination_message(self) -> dict[str, Any] | None:
        if not self.termination_file.exists():
            return None
        found: dict[str, Any] = json.loads(self.termination_file.read_text())
        return found


@pytest.fixture
def pod(tmp_path: Path) -> Pod:
    return Pod(tmp_path)


@pytest.fixture
async def model() -> AsyncIterator[Model]:
    async with serving() as running:
        yield running


def task_for(model: Model | None, name: str = "instant", *, timeout: float = 60, **request: Any) -> Task:
    body = {"model": name, "messages": [{"role": "user", "content": PROMPT}]} | request
    return {
        "run": "run-1",
        "request": {name: compact(value) for name, value in body.items()},
        "model": {"baseURL": model.url if model else "http://127.0.0.1:9/v1", "headers": {}},
        "env": {},
        "timeoutSeconds": timeout,
    }
