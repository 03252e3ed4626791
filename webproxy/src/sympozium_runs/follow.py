"""Watch an instance's runs, so that one that ends elsewhere, or before its pod speaks, reaches its caller as well."""

from sympozium_api import names
from sympozium_api.client import Client, Snapshot, watch
from sympozium_api.client.resources import RUNS
from sympozium_api.run import AgentRun
from sympozium_runs.runs import Runs


class RunWatch:
    """Follows the AgentRuns of one instance, and counts those that have not ended."""

    def __init__(self, client: Client, namespace: str, instance: str, *, runs: Runs) -> None:
        self._client = client
        self._namespace = namespace
        self._selector = f"{names.LABEL_INSTANCE}={instance}"
        self._runs = runs
        self._open: set[str] = set()
        self.synced = False

    @property
    def open_count(self) -> int:
        """Runs in mode task, as far as the watch has seen, that have not ended."""
        return len(self._open)

    async def run(self) -> None:
        """Watch without end."""
        async for event in watch(self._client, RUNS, self._namespace, labelSelector=self._selector):
            if isinstance(event, Snapshot):
                self._relisted([AgentRun.model_validate(item) for item in event.items])
            elif event.deleted:
                self._gone(event.object["metadata"]["name"])
            else:
                self._seen(AgentRun.model_validate(event.object))

    def _relisted(self, found: list[AgentRun]) -> None:
        """What was open and is not in a list any more was deleted during a gap; what is only just being created was never open."""
        for name in self._open - {run.metadata.name for run in found}:
            self._gone(name)
        for run in found:
            self._seen(run)
        self.synced = True

    def _seen(self, run: AgentRun) -> None:
        if run.ended or run.spec.mode == "server":
            self._open.discard(run.metadata.name)
        else:
            self._open.add(run.metadata.name)
        self._runs.observe(run)

    def _gone(self, name: str) -> None:
        self._open.discard(name)
        self._runs.observe_deleted((self._namespace, name))
