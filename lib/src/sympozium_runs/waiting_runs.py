"""The runs of an instance that wait for an idle pod, as one replica knows them. No I/O."""

from sympozium_api.run import AgentRun

Key = tuple[str, str]
"""Namespace and name of a run."""


class WaitingRuns:
    """Open runs without a pod that any replica may bind to an idle one, the oldest first."""

    def __init__(self) -> None:
        self._runs: dict[Key, AgentRun] = {}
        self._taken: set[Key] = set()
        """Runs that were taken once: they are not added again, because their binding may be on its way."""

    def __len__(self) -> int:
        return len(self._runs)

    def add(self, run: AgentRun) -> None:
        """Add a run, unless it was taken before."""
        if run.key not in self._taken:
            self._runs[run.key] = run

    def take(self) -> AgentRun | None:
        """Remove the oldest run and return it; None where none waits."""
        if not self._runs:
            return None
        key = min(self._runs, key=lambda key: self._runs[key].accepted_at)
        self._taken.add(key)
        return self._runs.pop(key)

    def put_back(self, run: AgentRun) -> None:
        """Add a run again that was taken, because it was not bound."""
        self._taken.discard(run.key)
        self.add(run)

    def discard(self, key: Key) -> None:
        """Remove a run that waits no longer."""
        self._runs.pop(key, None)

    def forget(self, key: Key) -> None:
        """Remove a run that is not open any more."""
        self._runs.pop(key, None)
        self._taken.discard(key)
