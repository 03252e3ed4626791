"""The machine on which a benchmark runs: what it is worth, whether it is quiet, and whose processor time is used."""

import os
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from tests.bench.report import Figures

_TICK = os.sysconf("SC_CLK_TCK")
_DAEMONS = {
    "etcd": "etcd",
    "kube-apiserver": "API server",
    "kube-controller-manager": "controllers and scheduler",
    "kube-scheduler": "controllers and scheduler",
    "kube-proxy": "controllers and scheduler",
    "kubelet": "kubelet",
    "containerd": "containerd",
}
_OURS = {"sympozium_operator": "operator", "sympozium_webproxy": "web-proxy"}
QUIET_CORES = 0.3
"""Cores in use below which a machine is quiet; the local cluster without work takes about 0.1."""
_ADDITIONS = 1_000_000
_CGROUPS = "sys/fs/cgroup"


def additions(count: int = _ADDITIONS) -> float:
    """Return the processor seconds of a loop of additions: what the machine is worth now."""
    began, total = time.process_time(), 0
    for number in range(count):
        total += number
    return time.process_time() - began


def wait_until_quiet(longest: float = 120.0, sample: float = 3.0) -> Figures:
    """Wait until little else runs on the machine, and return whether that came true, with the cores that were in use at last."""
    began, busy = time.monotonic(), _busy_cores(sample)
    while busy > QUIET_CORES and time.monotonic() - began < longest:
        busy = _busy_cores(sample)
    return {
        "quiet": busy <= QUIET_CORES,
        "busy_cores": round(busy, 2),
        "waited_s": round(time.monotonic() - began),
        "million_additions_ms": round(1000 * min(additions() for _ in range(5)), 1),
    }


def _busy_cores(seconds: float) -> float:
    before = _busy_seconds()
    time.sleep(seconds)
    return (_busy_seconds() - before) / seconds


def _busy_seconds() -> float:
    """Return the processor seconds of the whole machine since its start, without those in which it waited."""
    user, nice, system, _idle, _iowait, irq, soft, *_ = map(int, Path("/proc/stat").read_text().split()[1:9])
    return (user + nice + system + irq + soft) / _TICK


@dataclass(frozen=True)
class ProcessorTime:
    """Processor seconds of each part until a moment."""

    parts: dict[str, dict[int, float]]
    """Seconds of the processes of each part, by pid."""
    pods: dict[int, float]
    """Seconds of the processes in pods that are no part of their own."""
    all_pods: float | None
    """Seconds of all pods that there were, those that are gone among them; None where their control group is not visible."""
    machine: float

    @classmethod
    def now(cls) -> Self:
        """Read all of it. Daemons are seen where this process shares their network, as on the local cluster."""
        parts: dict[str, dict[int, float]] = {}
        pods: dict[int, float] = {}
        for pid, command, is_pod in _processes():
            name = _DAEMONS.get(Path(command[0]).name) or _module(command)
            with suppress(OSError):
                if name:
                    parts.setdefault(name, {})[pid] = _seconds_of(pid)
                elif is_pod:
                    pods[pid] = _seconds_of(pid)
        return cls(parts, pods, _pods_seconds(parts.get("kubelet", ())), _busy_seconds())

    def since(self, earlier: "ProcessorTime") -> dict[str, float]:
        """Return the seconds of each part since an earlier moment, the largest first.

        Agents are what the pods' control group used and no pod that was there all the time did. What remains of the machine's is
        mostly the container runtime's: shims and runc, which live too briefly to be seen.
        """
        used = {name: _used(earlier.parts.get(name, {}), now) for name, now in self.parts.items()}
        if self.all_pods is not None and earlier.all_pods is not None:
            lasting = _used(earlier.pods, self.pods) + sum(used.get(name, 0) for name in _OURS.values())
            used["agents"] = max(0.0, self.all_pods - earlier.all_pods - lasting)
            used["other pods"] = _used(earlier.pods, self.pods)
        own = _used(earlier.parts.get("benchmark", {}), self.parts.get("benchmark", {}))
        used["benchmark"] = own
        used["runc, shims and the rest"] = max(0.0, self.machine - earlier.machine - sum(used.values()))
        return dict(sorted(used.items(), key=lambda item: -item[1]))


def _used(before: dict[int, float], now: dict[int, float]) -> float:
    """Return what the processes that were there at both moments used between them."""
    return sum(seconds - before[pid] for pid, seconds in now.items() if pid in before)


def _processes() -> Iterator[tuple[int, list[str], bool]]:
    """Yield the pid and command line of each process that is this one, in a pod, or shares this one's network."""
    network = Path("/proc/self/ns/net").readlink()
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            pid, command = int(process.name), (process / "cmdline").read_bytes().decode(errors="replace").split("\0")
            is_pod = "kubepods" in (process / "cgroup").read_text()
            if command[0] and (is_pod or pid == os.getpid() or (process / "ns/net").readlink() == network):
                yield pid, command, is_pod


def _module(command: list[str]) -> str | None:
    """Return the part whose module a process runs; None for others."""
    if "-m" not in command[:-1]:
        return None
    module = command[command.index("-m") + 1]
    return "benchmark" if module.startswith("tests.bench") else _OURS.get(module)


def _seconds_of(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICK


def _pods_seconds(kubelets: Iterable[int]) -> float | None:
    """Return the processor seconds of the pods' control group, of version 1 or 2.

    ``ip netns exec`` hides the control groups from this process, so they are read as a kubelet sees them too.
    """
    for root in (Path("/"), *(Path(f"/proc/{pid}/root") for pid in kubelets)):
        groups = root / _CGROUPS
        for group in (*groups.glob("cpuacct/*/kubepods"), *groups.glob("cpuacct/kubepods")):
            return int((group / "cpuacct.usage").read_text()) / 1e9
        for group in (*groups.glob("*/kubepods*"), *groups.glob("kubepods*")):
            if (group / "cpu.stat").exists():
                fields = dict(line.split() for line in (group / "cpu.stat").read_text().splitlines())
                return int(fields["usage_usec"]) / 1e6
    return None
