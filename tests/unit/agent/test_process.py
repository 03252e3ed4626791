"""The agent as a process: signals, exit codes, and what it imports."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from asyncio.subprocess import PIPE, Process

from tests.fakes.model import Model
from tests.unit.agent.conftest import KEY, PROMPT, Pod, task_for
from tests.unit.agent.surface import Surface, replica

SCRIPT = """
import sys
from pathlib import Path
from sympozium_agent.process import process
from sympozium_agent.agent_settings import AgentSettings
url, directory = sys.argv[1], Path(sys.argv[2])
sys.exit(process(AgentSettings("run-1", (url,), directory / "token", (directory / "api-key",), directory / "termination-log")))
"""
HEAVY = {
    "asyncio",
    "dataclasses",
    "h11",
    "httpx2",
    "inspect",
    "logging",
    "socket",
    "ssl",
    "typing",
    "urllib",
    "anyio",
    "pydantic",
    "structlog",
    "aiohttp",
    "kubernetes",
    "yaml",
    "starlette",
    "fastapi",
    "openai",
}


async def started(pod: Pod, surface: Surface) -> Process:
    arguments = ("-I", "-c", SCRIPT, surface.url, str(pod.token_file.parent))
    return await asyncio.create_subprocess_exec(sys.executable, *arguments, stderr=PIPE, env=_plain_environment())


def _plain_environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if "proxy" not in name.lower()}


async def ended(process: Process) -> tuple[int | None, str]:
    async with asyncio.timeout(60):
        _, printed = await process.communicate()
    return process.returncode, printed.decode()


async def test_sigterm_ends_the_run_as_terminated_and_the_process_with_1(pod: Pod, model: Model) -> None:
    async with replica(task_for(model, "slow:500:10")) as surface:
        process = await started(pod, surface)
        await surface.until(records=3)
        process.send_signal(signal.SIGTERM)
        assert (await ended(process))[0] == 1
    assert surface.end["error"]["type"] == "terminated"
    assert surface.end["error"]["httpStatus"] == 503
    assert surface.deliveries[0].is_whole


async def test_a_run_that_ends_well_exits_with_0_and_logs_one_json_line_per_step(pod: Pod, model: Model) -> None:
    async with replica(task_for(model, "echo")) as surface:
        code, printed = await ended(await started(pod, surface))
    assert code == 0
    steps = [json.loads(line)["event"] for line in printed.splitlines()]
    assert steps == ["agent_started", "task_received", "model_called", "model_answers", "agent_ended"]
    assert KEY not in printed
    assert PROMPT not in printed


async def test_an_agent_that_breaks_exits_with_1_and_shows_no_traceback(pod: Pod) -> None:
    pod.token_file.unlink()
    async with replica(None) as surface:
        code, printed = await ended(await started(pod, surface))
    assert code == 1
    assert json.loads(printed.splitlines()[-1])["error"] == "FileNotFoundError"


def test_a_pod_without_its_variables_exits_with_the_name_of_the_missing_one() -> None:
    arguments = [sys.executable, "-I", "-m", "sympozium_agent"]
    found = subprocess.run(arguments, env={}, capture_output=True, text=True, check=False)
    assert found.returncode == 1
    assert "SYMPOZIUM_RUN" in found.stderr


def test_the_agent_imports_nothing_that_it_does_not_need() -> None:
    script = "import sys, sympozium_agent.process, sympozium_agent.agent_settings; print(*sys.modules)"
    found = subprocess.run([sys.executable, "-I", "-c", script], capture_output=True, text=True, check=True)
    assert not HEAVY & set(found.stdout.split())


def test_an_agent_without_tools_imports_nothing_of_their_loop() -> None:
    script = "import sys, sympozium_agent.process, sympozium_agent.driver; print(*sys.modules)"
    found = subprocess.run([sys.executable, "-I", "-c", script], capture_output=True, text=True, check=True)
    assert not [name for name in found.stdout.split() if name.startswith("sympozium_agent.tool")]
