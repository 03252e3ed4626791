"""A web-proxy in front of the scripted model, and clients in processes of their own, as ``local/clients.sh`` installs them."""

import asyncio
import os
from pathlib import Path

import pytest
from tests.fakes.agents import Agents
from tests.fakes.model import Model
from tests.integration.conftest import KEY, HttpProtocol, Proxy

from sympozium_http.request_limits import RequestLimits

CLIENTS = Path(os.environ.get("SYMPOZIUM_CACHE") or Path.home() / ".cache/sympozium") / "clients"
HERE = Path(__file__).parent
NODE = CLIENTS / "mcp/bin/node"
"""A Node that is new enough for all of them."""


def installed(folder: str) -> pytest.MarkDecorator:
    """Skip where ``local/clients.sh`` has not installed this folder."""
    return pytest.mark.skipif(not (CLIENTS / folder / ".version").exists(), reason="local/clients.sh has not run")


async def told(proxy: Proxy, *command: str | Path, folder: Path = HERE, variables: dict[str, str] | None = None) -> str:
    """Return what a client prints that runs in this folder, with these variables beside the usual ones."""
    environ = {
        "OPENAI_BASE_URL": f"{proxy.url}/v1",
        "OPENAI_API_KEY": KEY,
        "PATH": f"{NODE.parent}:{os.environ['PATH']}",
        "PWD": str(folder),
        **(variables or {}),
    }
    process = await asyncio.create_subprocess_exec(
        *command,
        env=os.environ | environ,
        cwd=folder,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(300):
            output, errors = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
    assert process.returncode == 0, (output + errors).decode()[-4000:]
    return output.decode()


@pytest.fixture
def max_body_bytes() -> int:
    """Room for the instructions and tools that an agent sends."""
    return 1024 * 1024


@pytest.fixture
def http_protocol() -> HttpProtocol:
    """As in a web-proxy's pod: clients offer upgrades, and send heads and bodies in their own ways."""
    return RequestLimits


@pytest.fixture
async def served(proxy: Proxy, model: Model, agents: Agents) -> Proxy:
    """An instance that answers, with the model ``tools`` beside it, and ``calls``, which calls a tool that the prompt names."""
    await proxy.use_model(model, "instant", agent={"allowedModels": ["tools", "calls"]})
    return proxy
