"""``python -m tests.bench.agent_start``: processor time and memory of the agent's process, beside a Python that does nothing.

No cluster: the agent runs against a fake agent API and a fake model on this machine. The samples of all programs are taken in turn,
so that a busy machine makes all of them slower. ``--python`` names other interpreters, such as those of other versions.
"""

import argparse
import asyncio
import logging
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from tests.bench.report import Figures
from tests.fakes.model import serving
from tests.unit.agent.conftest import task_for
from tests.unit.agent.surface import Reply, replica

log = logging.getLogger(__name__)

NOTHING = "pass"
IMPORT = "import sympozium_agent.process"
RUN = """
import os, sys
from sympozium_agent.agent_settings import AgentSettings
from sympozium_agent.process import process
from pathlib import Path
own = Path(sys.argv[1])
files = own / "token", (own / "api-key",), own / "termination-log"
run, instance = ("run-1", "") if sys.argv[3] == "run" else (None, "demo")
os._exit(process(AgentSettings(run, (sys.argv[2],), *files, instance=instance, idle_ttl=60)))
"""
REST = "import time; time.sleep(60)"
IDLE_SECONDS = 1.0
SAMPLES = 20


def processor_ms(python: str, script: str, *arguments: str) -> float:
    """Run a script in a process of its own and return its processor time in ms."""
    process = subprocess.Popen([python, "-I", "-c", script, *arguments], stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0, f"{python} ended with {process.returncode}"
    return (usage.ru_utime + usage.ru_stime) * 1000


def resident_mb(python: str, script: str, *arguments: str) -> float:
    """Return the resident memory in MB of a process that rests."""
    process = subprocess.Popen([python, "-I", "-c", script, *arguments], stderr=subprocess.DEVNULL)
    try:
        time.sleep(IDLE_SECONDS)
        lines = Path(f"/proc/{process.pid}/status").read_text().splitlines()
    finally:
        process.kill()
        process.wait()
    return int(next(line.split()[1] for line in lines if line.startswith("VmRSS:"))) / 1024


async def measure(python: str = sys.executable, count: int = SAMPLES) -> Figures:
    """Return milliseconds of processor time of each program, medians, and MB of a process that waits for a task."""
    samples: dict[str, list[float]] = {"nothing": [], "import": [], "run": []}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "token").write_text("token")
        (folder / "api-key").write_text("key")
        async with serving() as model:
            for number in range(count + 1):
                async with replica(task_for(model)) as surface:
                    measured = {
                        "nothing": await asyncio.to_thread(processor_ms, python, NOTHING),
                        "import": await asyncio.to_thread(processor_ms, python, IMPORT),
                        "run": await asyncio.to_thread(processor_ms, python, RUN, name, surface.url, "run"),
                    }
                if number:  # the first one compiled what was not compiled
                    for program, milliseconds in measured.items():
                        samples[program].append(milliseconds)
            async with replica(None, tasks=[Reply(silent=True)]) as surface:
                surface.prospect = {"baseURL": model.url, "env": {}}
                idle = await asyncio.to_thread(resident_mb, python, RUN, name, surface.url, "idle")
    medians = {program: round(statistics.median(figures), 1) for program, figures in samples.items()}
    rest = await asyncio.to_thread(resident_mb, python, REST)
    return {
        "agent_start_ms": {"n": count, **medians},
        "agent_idle_mb": {"agent": round(idle, 1), "rest": round(rest, 1)},
    }


def lines(figures: Figures) -> Iterator[str]:
    """Return the figures as text."""
    took, idle = figures["agent_start_ms"], figures["agent_idle_mb"]
    for program in ("nothing", "import", "run"):
        ratio = took[program] / took["nothing"]
        yield f"{program:8} {took[program]:7.1f} ms of processor time, {ratio:.2f} x nothing, n={took['n']}"
    yield f"an agent that waits for its task {idle['agent']} MB, a Python that sleeps {idle['rest']} MB"


def main() -> None:
    """Measure as the command line asks."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--python", nargs="+", default=[sys.executable], help="interpreters (default: this one)")
    parser.add_argument("--samples", type=int, default=SAMPLES, help="samples of each program")
    arguments = parser.parse_args()
    logging.basicConfig(format="%(message)s", level=logging.INFO, stream=sys.stdout)
    for python in arguments.python:
        log.info("%s\n%s", python, "\n".join(lines(asyncio.run(measure(python, arguments.samples)))))


if __name__ == "__main__":
    main()
