"""Agents instead of pods: for every run that is made, the real agent runs in a thread of this process, against the real runs surface."""

import asyncio
from pathlib import Path

from tests.fakes import agent_thread
from tests.fakes.kubernetes import FakeKubernetes
from tests.fakes.pod import TokenIssuer

from sympozium_agent.agent_settings import AgentSettings, Timeouts
from sympozium_agent.waiting import Event
from sympozium_api import names
from sympozium_api.resources import RUNS, Object

PATIENCE = Timeouts(first_backoff=0.002, longest_backoff=0.05, delivery_grace=2, shutdown_grace=0.5)
PROVIDER_KEY = "sk-provider"


class Agents:
    """Operator and kubelet as runs see them. Start ``run`` as a task."""

    def __init__(self, kubernetes: FakeKubernetes, issuer: TokenIssuer, surface: str, directory: Path) -> None:
        self._kubernetes = kubernetes
        self._issuer = issuer
        self._surface = surface
        self._directory = directory
        self._started: set[str] = set()
        self.exit_codes: dict[str, int] = {}

    async def run(self) -> None:
        """Start an agent for each new run, without end."""
        async with asyncio.TaskGroup() as pods:
            while True:
                for run in await self._kubernetes.list(RUNS, "default"):
                    name = run["metadata"]["name"]
                    if name not in self._started and run["spec"]["mode"] == "task":
                        self._started.add(name)
                        pods.create_task(self._pod(run))
                await asyncio.sleep(0.005)

    async def _pod(self, run: Object) -> None:
        name = run["metadata"]["name"]
        folder = self._directory / name
        folder.mkdir()
        pod = f"{names.job(name, run['metadata']['uid'])}-abcde"
        account = names.agent_service_account(run["spec"]["agentRef"])
        (folder / "token").write_text(self._issuer.token(pod, account))
        (folder / "api-key").write_text(PROVIDER_KEY)
        settings = AgentSettings(
            run=name,
            addresses=(self._surface,),
            token_file=folder / "token",
            key_files=(folder / "api-key",),
            termination_file=folder / "termination-log",
        )
        self.exit_codes[name] = await agent_thread.started(settings, Event(), environ={}, timeouts=PATIENCE)
