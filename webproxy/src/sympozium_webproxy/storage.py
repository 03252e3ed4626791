"""Room of the namespace for long texts, as the operator has marked it on the instance's server run."""

from sympozium_api.names import LABEL_STORAGE, STORAGE_FULL
from sympozium_api.run import AgentRun


class Storage:
    """State of the namespace's storage. Nothing is read for it: the watch of runs has the server run."""

    def __init__(self) -> None:
        self.is_full = False
        """True if open runs alone store as many bytes as the namespace may."""

    def on_server_run(self, run: AgentRun) -> None:
        """Take a state of the server run."""
        self.is_full = run.metadata.labels.get(LABEL_STORAGE) == STORAGE_FULL
