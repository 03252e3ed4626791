"""``python -m tests.bench.console_callers``: a console with 1,000 instances and 10,000 API keys: memory, start, and revoked keys.

No cluster: the API server is the one in memory, in a process of its own, and two consoles are others. A key is revoked by a patch of its
object; the seconds are those until the replica that has not made the change refuses the key.
"""

import argparse
import asyncio
import json
import logging
import statistics
import tempfile
import time
from pathlib import Path

import httpx2
import uvloop
from tests.bench.index_processes import key_name, key_text
from tests.bench.machine import additions
from tests.bench.report import Figures
from tests.bench.run_index import ConsoleProcess, api_server_process, console_process

from sympozium_api.resources import API_KEYS

log = logging.getLogger(__name__)

_KNOWN_WITHIN = 60.0


async def _status(console: ConsoleProcess, number: int) -> int:
    headers = {"Authorization": f"Bearer {key_text(number)}"}
    return (await console.http.get("/api/v1/me", headers=headers)).status_code


async def _until_refused(console: ConsoleProcess, number: int) -> float:
    """Return the milliseconds until a console refuses a key."""
    began = time.monotonic()
    while (status := await _status(console, number)) == 200:
        assert time.monotonic() - began < _KNOWN_WITHIN
        await asyncio.sleep(0.002)
    assert status == 401, status
    return 1000 * (time.monotonic() - began)


async def measure(instances: int, keys: int, revoked: int) -> Figures:
    """Return the figures of consoles with so many instances and keys."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        async with (
            api_server_process(folder / "none", 0, 0, "callers") as server,
            console_process(folder / "empty", server) as empty,
        ):
            resting_mb = empty.resident_mb()
        async with (
            api_server_process(folder / "all", instances, keys, "callers") as server,
            console_process(folder / "first", server),
            console_process(folder / "second", server) as second,
        ):
            began = time.monotonic()
            while await _status(second, keys - 1) != 200:
                assert time.monotonic() - began < _KNOWN_WITHIN
                await asyncio.sleep(0.05)
            known_seconds = second.whole_seconds + time.monotonic() - began
            refused = list[float]()
            async with httpx2.AsyncClient(base_url=server, timeout=30) as kubernetes:
                for number in range(revoked):
                    assert await _status(second, number) == 200
                    path, spec = API_KEYS.path("default", key_name(number)), {"spec": {"revoked": True}}
                    headers = {"Content-Type": "application/merge-patch+json"}
                    (await kubernetes.patch(path, json=spec, headers=headers)).raise_for_status()
                    refused.append(await _until_refused(second, number))
            return {
                "instances": instances,
                "keys": keys,
                "ready_s": round(second.whole_seconds, 1),
                "ready_processor_s": round(second.cpu_seconds, 1),
                "keys_known_s": round(known_seconds, 1),
                "memory_mb": round(second.resident_mb(), 1),
                "most_memory_mb": round(second.resident_mb(most=True), 1),
                "empty_memory_mb": round(resting_mb, 1),
                "revoked_ms": {
                    "n": len(refused),
                    "p50": round(statistics.median(refused), 1),
                    "most": round(max(refused), 1),
                },
                "million_additions_ms": round(1000 * additions(), 1),
            }


if __name__ == "__main__":
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    log.setLevel(logging.INFO)
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--instances", type=int, default=1000)
    parser.add_argument("--keys", type=int, default=10_000)
    parser.add_argument("--revoked", type=int, default=100)
    arguments = parser.parse_args()
    figures = uvloop.run(measure(arguments.instances, arguments.keys, arguments.revoked))
    log.info("%s", json.dumps(figures))
