"""Signals to processes of the node, from outside of their containers, where SIGKILL cannot be put off nor SIGSTOP be seen.

``kubectl delete pod --force`` is not that: the kubelet sends SIGTERM all the same.
"""

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from tests.e2e.conftest import Namespace, Object

SEND = """
import os, pathlib, signal, sys, time
program, mark, *steps = sys.argv[1:]

def is_meant(process):
    try:
        command, environ = (process / 'cmdline').read_bytes(), (process / 'environ').read_bytes()
    except OSError:
        return False
    return process.name != str(os.getpid()) and program.encode() in command and mark.encode() in environ

meant = [int(process.name) for process in pathlib.Path('/proc').glob('[0-9]*') if is_meant(process)]
print('meant', len(meant), flush=True)
if len(steps) > 1:  # goes on when nobody can reach this pod
    if os.fork():
        os._exit(0)
    for stream in range(3):
        os.dup2(os.open(os.devnull, os.O_RDWR), stream)
for step in steps:
    if step.isdigit():
        time.sleep(int(step))
    else:
        for pid in meant:
            os.kill(pid, signal.Signals['SIG' + step])
"""


@dataclass(frozen=True)
class Signals:
    """A pod that sees all processes of the node."""

    default: Namespace
    pod: str

    def send(self, program: str, mark: str, *steps: str) -> None:
        """To the processes with these words in their command and in their environment: signals, and seconds between them."""
        told = self.default.kubectl("exec", self.pod, "--", "python", "-c", SEND, program, mark, *steps)
        assert int(told.removeprefix("meant ")) > 0, f"no process has {program!r} and {mark!r}"


@contextmanager
def signals(image: str) -> Iterator[Signals]:
    default, name = Namespace("default"), f"e2e-signals-{secrets.token_hex(3)}"
    container = {
        "name": "signals",
        "image": image,
        "command": ["python", "-c", "import signal; signal.pause()"],
        "securityContext": {"privileged": True, "runAsUser": 0},
    }
    pod: Object = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}}
    default.apply(pod | {"spec": {"hostPID": True, "terminationGracePeriodSeconds": 0, "containers": [container]}})
    default.kubectl("wait", f"pod/{name}", "--for=condition=Ready", "--timeout=4m")
    try:
        yield Signals(default, name)
    finally:
        default.delete("pod", name)
