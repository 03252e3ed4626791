"""The terminal UI on a terminal (tmux's) and on the cluster: a skill switched on, an answer, and the log of a failed run."""

import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.e2e.conftest import Namespace, agent_run, instance, until
from tests.e2e.test_clients import TEXT
from tests.e2e.test_kubectl_plugin import plugin_in

AGENT = "on-a-terminal"
FAILED = "failed-on-a-terminal"


@dataclass(frozen=True)
class Terminal:
    """A terminal of 100 by 30 in which the UI runs."""

    socket: Path
    environ: dict[str, str]

    def tmux(self, *words: str) -> str:
        command = ["tmux", "-u", "-f", "/dev/null", "-S", str(self.socket), *words]
        done = subprocess.run(command, env=self.environ, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def press(self, *keys: str) -> None:
        """Press keys by tmux's names of them."""
        self.tmux("send-keys", *keys)

    def write(self, text: str) -> None:
        """Type a text."""
        self.tmux("send-keys", "-l", text)

    def shows(self, *words: str, within: float = 20) -> str:
        """Wait until the terminal shows all words; return what it shows."""

        def shown() -> str:
            text = self.tmux("capture-pane", "-p")
            return text if all(word in text for word in words) else ""

        return until(shown, within=within, why=lambda: f"{words} in\n{self.tmux('capture-pane', '-p')}")

    def select(self, name: str) -> None:
        """Filter a list by a name, and wait for its row."""
        self.press("/")
        self.shows("Filter:")
        self.write(name)
        self.press("Enter")
        self.shows(f"filter: {name}", "1 of ")


@pytest.fixture
def terminal(namespace: Namespace, tmp_path: Path) -> Iterator[Terminal]:
    terminal = Terminal(tmp_path / "tmux", plugin_in(namespace, tmp_path).environ | {"LC_ALL": "C.UTF-8"})
    script = "echo before the UI; kubectl sympozium; echo ended with $?; exec cat"
    terminal.tmux("new-session", "-d", "-x", "100", "-y", "30", "sh", "-c", script)
    yield terminal
    terminal.tmux("kill-server")


def test_an_agent_is_switched_on_and_answers_and_a_failed_run_has_its_log(
    terminal: Terminal, namespace: Namespace
) -> None:
    namespace.apply(instance(AGENT))
    terminal.shows("Instances", AGENT, "● live", within=30)

    terminal.select(AGENT)
    terminal.press("s")
    terminal.shows(f"Skills of {namespace.name}/{AGENT}", "> [ ]  web-endpoint")
    terminal.press("Space")
    terminal.shows("> [x]  web-endpoint", "saved", "web-endpoint is on")
    assert namespace.get("instance", AGENT)["spec"]["webEndpoint"]["enabled"] is True
    terminal.press("Escape")
    terminal.shows("● Serving", within=120)

    terminal.press("c")
    terminal.shows(f"Chat with {namespace.name}/{AGENT}")
    terminal.write("hello")
    terminal.press("Enter")
    text = terminal.shows(TEXT, "first token", within=60)
    [run] = re.findall(rf"run ({AGENT}-\S+)", text)
    assert namespace.run_ends(run)["result"] == TEXT
    terminal.press("Escape")
    terminal.shows("Instances")

    namespace.apply(agent_run(FAILED, agentRef=AGENT, task="hello", model={"model": "status:500"}))
    pod = namespace.run_ends(FAILED)["podName"]  # which is kept for a while only
    terminal.press("2")
    terminal.shows("Runs")
    terminal.select(FAILED)
    terminal.shows("✗ Failed model_error")
    terminal.press("Enter")
    terminal.shows(f"Run {namespace.name}/{FAILED}", "The model server refused the request")
    terminal.press("l")
    terminal.shows(f"Log of {namespace.name}/{pod}", "model_failed", "(end of the log)")

    terminal.press("q")
    terminal.shows("before the UI\nended with 0\n")
    namespace.delete("instance", AGENT, "--wait=false")
