"""The runs of an instance that wait for an idle pod, as one replica knows them. No I/O."""

from collections import Counter
from collections.abc import Callable

from sympozium_api import names
from sympozium_api.run import AgentRun

Key = tuple[str, str]
"""Namespace and name of a run."""


class WaitingRuns:
    """Open runs without a pod that any replica may bind to an idle one: first that of the key with the fewest runs at work, of these
    the oldest, as in the operator's queue.
    """

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

    def take(self, open_runs: Counter[str]) -> AgentRun | None:
        """Remove the next run and return it; None where none waits. ``open_runs``: numbers of open runs by key, these included."""
        if not self._runs:
            return None
        at_work = open_runs - Counter(map(_key_id, self._runs.values()))
        run = min(self._runs.values(), key=lambda run: (at_work[_key_id(run)], run.accepted_at))
        self._taken.add(run.key)
        return self._runs.pop(run.key)

    def put_back(self, run: AgentRun) -> None:
        """Add a run again that was taken, because it was not bound, unless it waits no longer."""
        if run.key in self._taken:
            self._taken.discard(run.key)
            self.add(run)

    def retain(self, may_wait: Callable[[AgentRun], bool]) -> None:
        """Remove the runs of which this is not true."""
        self._runs = {key: run for key, run in self._runs.items() if may_wait(run)}

    def forget(self, key: Key) -> None:
        """Remove a run that waits no longer."""
        self._runs.pop(key, None)
        self._taken.discard(key)


def _key_id(run: AgentRun) -> str:
    return run.metadata.annotations.get(names.ANNOTATION_KEY_ID, "")
