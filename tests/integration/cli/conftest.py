"""The commands, with an API server in memory instead of the cluster."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import pytest
from tests.fakes.kubernetes import FakeKubernetes

from sympozium_api import names
from sympozium_cli.app import run
from sympozium_cli.cluster import Cluster
from sympozium_cli.options import KubectlOptions

Object = dict[str, Any]


@dataclass(frozen=True)
class Done:
    """The end of a command."""

    code: int
    out: str
    err: str


Plugin = Callable[..., Done]


@pytest.fixture
def kubernetes() -> FakeKubernetes:
    return FakeKubernetes()


@pytest.fixture
def plugin(kubernetes: FakeKubernetes, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Plugin:
    @asynccontextmanager
    async def connect(options: KubectlOptions, **_: Any) -> AsyncIterator[Cluster]:
        namespace = None if options.all_namespaces else options.namespace or "default"
        yield Cluster(kubernetes, namespace, "test", options.kubectl_args)

    for module in ("cluster", "commands.chat"):
        monkeypatch.setattr(f"sympozium_cli.{module}.connect", connect)

    def command(*words: str) -> Done:
        capsys.readouterr()
        code = run(words)
        return Done(code, *capsys.readouterr())

    return command


def instance(name: str = "assistant", *, status: Object | None = None, **spec: Any) -> Object:
    """An instance, as if it had been applied."""
    return {
        "apiVersion": names.API_VERSION,
        "kind": "SympoziumInstance",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {"agents": {"default": {"model": "m"}}} | spec,
        "status": status or {},
    }


def agent_run(name: str, *, status: Object | None = None, metadata: Object | None = None, **spec: Any) -> Object:
    """A run, as if it had been created."""
    question = {} if spec.keys() & {"request", "requestText"} or spec.get("mode") == "server" else {"task": "Why?"}
    return {
        "apiVersion": names.API_VERSION,
        "kind": "AgentRun",
        "metadata": {"name": name, "namespace": "default"} | (metadata or {}),
        "spec": {"agentRef": "assistant", "mode": "task"} | question | spec,
        "status": status or {},
    }
