"""``python -m tests.bench.terminal``: how quick ``kubectl sympozium`` is, and what it holds.

``help`` and ``ui`` need no cluster: the API server is the one in memory, behind the real ``kubectl proxy``, with 2,000 runs. ``chat``
needs one, under ``$SYMPOZIUM_EXEC``: a question at the prompt of an open chat and the same one by curl, in turns, from a warm pool that is
not refilled meanwhile. All times are seen from outside: at a terminal, or at the pipe of curl.
"""

import argparse
import asyncio
import json
import logging
import os
import secrets
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import httpx2
from tests.bench.__main__ import agent_image
from tests.bench.index_processes import ended_run
from tests.bench.machine import additions
from tests.bench.report import Figures, spread
from tests.bench.run_index import api_server_process
from tests.bench.terminal_screen import Screen, plugin
from tests.bench.warm import full, no_operator, prepare
from tests.e2e.conftest import Endpoint, Namespace
from tests.fakes.api_server import kubeconfig

from sympozium_api.resources import INSTANCES

log = logging.getLogger(__name__)

RUNS = 2_000
_WINDOW = 300
"""Rows that the list of runs holds."""
_PAUSE_SECONDS = 0.3
_QUESTION = "hello"


def of_help(samples: int) -> Figures:
    """Seconds of ``--help``, a whole process."""
    found = []
    for _ in range(samples):
        began = time.perf_counter()
        subprocess.run([sys.executable, "-m", "sympozium_cli", "--help"], stdout=subprocess.DEVNULL, check=True)
        found.append(time.perf_counter() - began)
    return {"help_s": spread(found)}


async def of_ui(samples: int, keys: int) -> Figures:
    """Seconds to the first rows and from a key to the screen, and the most memory of the UI in MB."""
    with tempfile.TemporaryDirectory() as folder:
        async with api_server_process(Path(folder) / "api", RUNS, 0) as url:
            body = {"apiVersion": INSTANCES.api_version, "kind": INSTANCES.kind, "metadata": {"name": "agent-0"}}
            body["spec"] = {"agents": {"default": {"model": "m"}}}
            async with httpx2.AsyncClient(base_url=url) as http:
                path = f"/apis/{INSTANCES.api_version}/namespaces/default/{INSTANCES.plural}"
                (await http.post(path, json=body)).raise_for_status()
            file = Path(folder) / "kubeconfig"
            file.write_text(json.dumps(kubeconfig(url)))
            environ = os.environ | {"KUBECONFIG": str(file), "TERM": "xterm-256color", "COLORTERM": "truecolor"}
            return await asyncio.to_thread(_ui, environ, samples, keys)


def _ui(environ: dict[str, str], samples: int, keys: int) -> Figures:
    instances, runs, pressed, memory = list[float](), list[float](), list[float](), list[float]()
    names = [ended_run(number)["metadata"]["name"] for number in reversed(range(RUNS))]
    for sample in range(samples):
        with plugin("tui", "-A", environ=environ) as screen:
            screen.seconds_until("> agent-0")
            instances.append(screen.age)
            screen.seconds_until(_row(r"agent-\d+-\w{8} "), b"2")
            runs.append(screen.age)
            if sample == 0:
                pressed = _pressed(screen, names[:_WINDOW], keys)
            memory.append(screen.resident_mb())
    return {
        "runs": RUNS,
        "first_instances_s": spread(instances),
        "first_runs_s": spread(runs),
        "key_s": spread(pressed),
        "memory_mb": spread(memory),
    }


def _pressed(screen: Screen, names: list[str], keys: int) -> list[float]:
    """Seconds from a key until its row is drawn with the cursor: down row by row, then to the end and back again."""
    screen.seconds_until(rf"first {_WINDOW} of {RUNS}", b"12")  # all of them are read
    screen.seconds_until(_row(names[-1]), b"G")
    screen.seconds_until(_row(names[0]), b"g")
    found = [screen.seconds_until(_row(name), b"j") for name in names[1 : keys // 2 + 1]]
    for number in range(1, keys - len(found) + 1):
        is_odd = number % 2
        found.append(screen.seconds_until(_row(names[-1] if is_odd else names[0]), b"G" if is_odd else b"g"))
    return found


def _row(name: str) -> str:
    return rf">[^\n]*{name}"


def of_chat(samples: int) -> Figures:
    """Seconds to the first token: of a question at the prompt of an open chat, of curl, and of the whole command."""
    namespace = Namespace(f"bench-terminal-{secrets.token_hex(2)}")
    namespace.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace.name}})
    pool = 2 * samples + 3
    try:
        endpoint = prepare(namespace, agent_image(), pool)
        full(endpoint, pool)
        with no_operator():
            return _chats(endpoint, samples)
    finally:
        namespace.delete("namespace", namespace.name, "--wait=false")


def _chats(endpoint: Endpoint, samples: int) -> Figures:
    environ = os.environ | {"TERM": "dumb", "NO_COLOR": "1"}
    words = ("chat", endpoint.instance, "-n", endpoint.namespace.name)
    chats, curls, commands = list[float](), list[float](), list[float]()
    with plugin(*words, environ=environ) as screen:
        screen.seconds_until(r"\n> ")
        screen.seconds_until(rf"{_QUESTION}\s+\S", f"{_QUESTION}\n".encode())  # the first one opens the connection
        for _ in range(samples):
            time.sleep(_PAUSE_SECONDS)
            chats.append(screen.seconds_until(rf"{_QUESTION}\s+\S", f"{_QUESTION}\n".encode()))
            time.sleep(_PAUSE_SECONDS)
            curls.append(_curl(endpoint))
    for _ in range(2):
        with plugin(*words, _QUESTION, environ=environ) as screen:
            commands.append(screen.seconds_until(r"\S"))
    starts = [run.get("status", {}).get("start") for run in endpoint.namespace.list("runs")]
    return {
        "chat_first_token_s": spread(chats),
        "curl_first_token_s": spread(curls),
        "whole_command_first_token_s": spread(commands),
        "cold": starts.count("cold"),
    }


def _curl(endpoint: Endpoint) -> float:
    body = {"model": "bench", "messages": [{"role": "user", "content": _QUESTION}], "stream": True}
    words = ("-sSN", f"{endpoint.url}/v1/chat/completions", "-H", f"Authorization: Bearer {endpoint.key}")
    began, first = time.perf_counter(), 0.0
    with subprocess.Popen(
        ["curl", *words, "-H", "Content-Type: application/json", "-d", json.dumps(body)], stdout=subprocess.PIPE
    ) as curl:
        assert curl.stdout
        for line in curl.stdout:
            if not first and b'"content":"' in line:
                first = time.perf_counter() - began
    assert first, "curl got no answer"
    return first


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--parts", default="help,ui", help="of help, ui and chat")
    parser.add_argument("-n", type=int, default=20, help="commands, and questions at each")
    parser.add_argument("--keys", type=int, default=240, help="keys that are pressed")
    args = parser.parse_args()
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    log.setLevel(logging.INFO)
    parts, figures = set(args.parts.split(",")), Figures()
    if "help" in parts:
        figures |= of_help(args.n)
    if "ui" in parts:
        figures |= asyncio.run(of_ui(args.n, args.keys))
    if "chat" in parts:
        figures |= of_chat(args.n)
    log.info("%s", json.dumps(figures | {"million_additions_ms": round(1000 * additions(), 1)}, indent=2))


if __name__ == "__main__":
    main()
