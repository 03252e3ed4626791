"""The official MCP conformance suite against the web-proxy: ``make conformance``."""

import asyncio
import json
import os
from pathlib import Path

import pytest
import yaml

CLIENTS = Path(os.environ.get("SYMPOZIUM_CACHE") or Path.home() / ".cache/sympozium") / "clients/mcp"
"""Folder in which ``local/clients.sh`` installs the suite, and a Node that is new enough for it."""
NODE = CLIENTS / "bin/node"
SUITE = CLIENTS / "node_modules/@modelcontextprotocol/conformance"
pytestmark = pytest.mark.filterwarnings("ignore::mcp.MCPDeprecationWarning")  # the suite of 2025 wants log messages
FAILURES = Path(__file__).parent / "expected-failures"


ATTEMPTS = 3
"""Runs of the suite, of which one must pass: it gives a stream half a second to answer, which a busy machine may take longer for."""


@pytest.mark.parametrize("version", ["2025-11-25", "2026-07-28"])
async def test_the_server_does_what_the_specification_requires(
    fixture_url: str, version: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    expected = FAILURES / f"{version}.yaml"
    required = set(yaml.safe_load((SUITE / f"requirements/{version}.yaml").read_text())["server"])
    for attempt in range(ATTEMPTS):
        results = tmp_path / str(attempt)
        suite = await asyncio.create_subprocess_exec(
            *(NODE, SUITE / "dist/index.js", "server", "--url", fixture_url, "--requirements", version),
            *("--expected-failures", expected, "--output-dir", results),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        said, _ = await asyncio.wait_for(suite.communicate(), 300)
        failed = {name: checks for name in required if (checks := _failures(results, name))}
        if suite.returncode == 0:
            break
    with capsys.disabled():
        print(f"\nMCP {version}: {len(required) - len(failed)} of {len(required)} required server scenarios pass")  # noqa: T201 - what it is for
    assert failed.keys() <= set(yaml.safe_load(expected.read_text())["server"] or []), failed
    assert suite.returncode == 0, said.decode()


def _failures(results: Path, scenario: str) -> list[str]:
    """Return the failures of a scenario; one that was not run has failed."""
    files = list(results.glob(f"*{scenario}-*/checks.json"))
    checks = [check for file in files for check in json.loads(file.read_text())]
    return [check["id"] for check in checks if check["status"] == "FAILURE"] if files else ["not run"]
