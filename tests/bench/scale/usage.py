"""Processor time and memory: of our parts by their own metrics, of Kubernetes' by /proc."""

import os
import time
from collections import defaultdict
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import httpx2
from prometheus_client.parser import text_string_to_metric_families
from tests.e2e.conftest import Namespace

_DAEMONS = (
    "etcd",
    "kube-apiserver",
    "kube-controller-manager",
    "kube-scheduler",
    "kube-proxy",
    "kubelet",
    "containerd",
    "kwok",
)
_TICK = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Pods:
    """The pods of a component as they were when they were looked up, by the addresses of their metrics."""

    component: str
    urls: tuple[str, ...]

    @classmethod
    def of(cls, namespace: Namespace, component: str, port: int) -> Self:
        """Those that run."""
        selector = f"app.kubernetes.io/component={component}"
        pods = namespace.list("pods", "-l", selector, "--field-selector=status.phase=Running")
        there = [pod["status"]["podIP"] for pod in pods if "deletionTimestamp" not in pod["metadata"]]
        return cls(component, tuple(f"http://{address}:{port}/metrics" for address in there))

    def metrics(self) -> dict[str, float]:
        """All that they say, labels left out, each name's values added up; empty if one of them does not answer."""
        found: dict[str, float] = defaultdict(float)
        try:
            for url in self.urls:
                for family in text_string_to_metric_families(httpx2.get(url, timeout=10).text):
                    for sample in family.samples:
                        found[sample.name] += sample.value
        except httpx2.TransportError:
            return {}
        return dict(found)

    @property
    def cpu_seconds(self) -> float:
        """Processor time since their start."""
        return self.metrics().get("process_cpu_seconds_total", 0)

    @property
    def resident_mb(self) -> float:
        """Their memory."""
        return round(self.metrics().get("process_resident_memory_bytes", 0) / 1024**2, 1)


def operator() -> Pods:
    """The operator as it is now."""
    return Pods.of(Namespace("sympozium-system"), "operator", 9090)


def web_proxies(namespace: Namespace) -> Pods:
    """The web-proxies of a namespace."""
    return Pods.of(namespace, "web-proxy", 9090)


class Cores:
    """Processor time from now on, as a mean number of cores, by process."""

    def __init__(self, *pods: Pods, **processes: int) -> None:
        """``processes``: more of them, by pid."""
        self._pods = pods
        self._processes = _daemons() | processes
        self._began, self._before = time.monotonic(), self._seconds()

    def used(self) -> dict[str, float]:
        """The mean since the beginning, the largest first."""
        lasted, now = time.monotonic() - self._began, self._seconds()
        found = {name: round((now[name] - before) / lasted, 2) for name, before in self._before.items() if name in now}
        return dict(sorted(found.items(), key=lambda item: -item[1]))

    def _seconds(self) -> dict[str, float]:
        found = {pods.component: pods.cpu_seconds for pods in self._pods}
        for name, pid in self._processes.items():
            with suppress(OSError):
                found[name] = _cpu_seconds(pid)
        return found


def _cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICK


def _daemons() -> dict[str, int]:
    """Those of the local cluster, told by the network that they share with us; of another cluster there are none to be seen."""
    network, found = Path("/proc/self/ns/net").readlink(), {}
    for process in Path("/proc").iterdir():
        with suppress(OSError):
            name = Path((process / "cmdline").read_bytes().split(b"\0")[0].decode()).name
            if name in _DAEMONS and (process / "ns/net").readlink() == network:
                found[name] = int(process.name)
    return found
