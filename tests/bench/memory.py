"""What the processes of the system hold in memory, read from /proc of the node."""

from collections.abc import Iterable
from pathlib import Path


def of_processes(modules: Iterable[str]) -> dict[str, float]:
    """Resident memory in MB of the largest process that runs each module."""
    found: dict[str, float] = {}
    for process in Path("/proc").glob("[0-9]*"):
        try:
            words = (process / "cmdline").read_bytes().split(b"\0")
            resident = _resident_mb(process)
        except (OSError, StopIteration):
            continue  # it ended while we looked, or is a kernel thread
        for module in modules:
            if module.encode() in words:
                found[module] = max(found.get(module, 0), resident)
    return found


def _resident_mb(process: Path) -> float:
    lines = (process / "status").read_text().splitlines()
    kilobytes = next(line.split()[1] for line in lines if line.startswith("VmRSS:"))
    return round(int(kilobytes) / 1024, 1)
