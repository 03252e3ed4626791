"""Faults from outside: parts that are killed, or an API server that hangs or dies, at random times."""

import logging
import os
import random
import subprocess
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from tests.e2e.conftest import Namespace, Refused
from tests.e2e.signals import Signals

log = logging.getLogger(__name__)

NOW = ("--grace-period=1", "--wait=false")
API_SERVER = "--etcd-servers="
"""A word of the API server's command line, and of no other process."""
REPAIR = Path(__file__).parents[3] / "local/cluster/cluster.sh"
PAUSE_SECONDS = (8.0, 30.0)


@dataclass
class Faults:
    """Faults of every kind, one at a time, until ``stop`` is set."""

    system: Namespace
    namespace: Namespace
    """Namespace of the instances."""
    signals: Signals
    random: random.Random
    done: Counter[str] = field(default_factory=Counter)
    missed: Counter[str] = field(default_factory=Counter)
    """Faults that found nothing to kill, or that kubectl could not order."""
    stop: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        """Cause faults with random pauses between them."""
        kinds: dict[str, Callable[[], None]] = {
            "operator deleted": lambda: self._delete(self.system, "operator"),
            "operator killed": lambda: self._kill(self.system, "operator", "sympozium_operator"),
            "web-proxy deleted": lambda: self._delete(self.namespace, "web-proxy"),
            "web-proxy killed": lambda: self._kill(self.namespace, "web-proxy", "sympozium_webproxy"),
            "runs server deleted": lambda: self._delete(self.system, "runs"),
            "runs server killed": lambda: self._kill(self.system, "runs", "sympozium_runs"),
            "agent deleted": lambda: self._delete(self.namespace, "agent"),
            "agent killed": lambda: self._kill(self.namespace, "agent", "sympozium_agent"),
            "API server hung": self._hang_api_server,
            "API server killed": self._kill_api_server,
        }
        while not self.stop.wait(self.random.uniform(*PAUSE_SECONDS)):
            kind = self.random.choice(list(kinds))
            try:
                kinds[kind]()
            except (Refused, LookupError, AssertionError, subprocess.SubprocessError) as failure:
                self.missed[kind] += 1
                log.info("%s: not done: %s", kind, failure)
            else:
                self.done[kind] += 1
                log.info("%s", kind)

    def _pod(self, namespace: Namespace, component: str) -> str:
        """Return a working pod of a component. Raises LookupError if there is none."""
        pods = namespace.list("pods", "-l", f"app.kubernetes.io/component={component}")
        names = [
            str(pod["metadata"]["name"])
            for pod in pods
            if pod["status"].get("phase") == "Running" and "deletionTimestamp" not in pod["metadata"]
        ]
        if not names:
            raise LookupError(f"no pod of component {component}")
        return self.random.choice(names)

    def _delete(self, namespace: Namespace, component: str) -> None:
        namespace.delete("pod", self._pod(namespace, component), *NOW)

    def _kill(self, namespace: Namespace, component: str, program: str) -> None:
        self.signals.send(program, self._pod(namespace, component), "KILL")

    def _hang_api_server(self) -> None:
        seconds = self.random.randint(2, 15)
        self.signals.send(API_SERVER, "", "1", "STOP", str(seconds), "CONT")
        self.stop.wait(seconds + 3)

    def _kill_api_server(self) -> None:
        """Kill it; on the local cluster start it again, as the kubelet does elsewhere."""
        self.signals.send(API_SERVER, "", "1", "KILL")
        self.stop.wait(self.random.uniform(2, 8))
        if os.environ.get("SYMPOZIUM_AUDIT_LOG"):  # only the local cluster keeps one
            subprocess.run([REPAIR, "up"], check=True, capture_output=True, timeout=120)
