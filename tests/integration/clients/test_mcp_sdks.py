"""MCP's other SDKs, each in a process of its own: a session, the tools and a call with progress, by both transports."""

import json
from collections import Counter
from pathlib import Path

import pytest
from tests.fakes.model import TOKENS
from tests.integration.clients.conftest import CLIENTS, HERE, NODE, installed, told
from tests.integration.conftest import Proxy

TEXT = "".join(TOKENS)
TYPESCRIPT = CLIENTS / "mcp-typescript"


@pytest.mark.parametrize(
    "command",
    [
        pytest.param(
            (CLIENTS / "mcp-python-1/bin/python", HERE / "mcp_python.py"),
            id="python-1",
            marks=installed("mcp-python-1"),
        ),
        pytest.param(
            (NODE, HERE / "mcp.mjs", "@modelcontextprotocol/sdk"), id="typescript-1", marks=installed("mcp-typescript")
        ),
        pytest.param(
            (NODE, HERE / "mcp.mjs", "@modelcontextprotocol/client"),
            id="typescript-2",
            marks=installed("mcp-typescript"),
        ),
        pytest.param(
            ("java", "-cp", f"{CLIENTS / 'mcp-java'}/lib/*", HERE / "java/Mcp.java"),
            id="java",
            marks=installed("mcp-java"),
        ),
    ],
)
async def test_an_sdk_lists_the_tool_and_calls_it_with_progress(served: Proxy, command: tuple[str | Path, ...]) -> None:
    variables = {"MCP_URL": served.url, "JAVASCRIPT_CLIENTS": str(TYPESCRIPT)}
    answers = json.loads((await told(served, *command, variables=variables)).splitlines()[-1])
    pieces = [answer.pop("progress") for answer in answers.values()]
    assert answers == {name: {"tool": "ask_agent", "text": TEXT} for name in ("streamable", "sse")}
    for (
        progress
    ) in pieces:  # an SDK hands notifications to threads, in any order, and may take the answer before the last of them
        assert not Counter(progress) - Counter(TEXT)
