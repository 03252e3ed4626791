"""Agents' client libraries and Codex CLI, each in a process of its own: a chat, a stream and a task with tools at the scripted model."""

import asyncio
import json
import os
from pathlib import Path
from typing import Any

import pytest
from tests.fakes.agents import Agents
from tests.fakes.model import TOKENS, Model
from tests.integration.conftest import KEY, Proxy

CLIENTS = Path(os.environ.get("SYMPOZIUM_CACHE") or Path.home() / ".cache/sympozium") / "clients"
"""Folder in which ``local/clients.sh`` installs them."""
HERE = Path(__file__).parent
TEXT = "".join(TOKENS)
RESULTS = ["Sunny in Łódź", "noon"]

pytestmark = pytest.mark.skipif(not (CLIENTS / "agents/.version").exists(), reason="local/clients.sh has not run")


async def told(proxy: Proxy, *command: str | Path, **variables: str) -> str:
    """Return what a client prints."""
    environ = {"OPENAI_BASE_URL": f"{proxy.url}/v1", "OPENAI_API_KEY": KEY, **variables}
    process = await asyncio.create_subprocess_exec(
        *command,
        env=os.environ | environ,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(120):
        output, errors = await process.communicate()
    assert process.returncode == 0, errors.decode()[-4000:]
    return output.decode()


@pytest.fixture
async def served(proxy: Proxy, model: Model, agents: Agents) -> Proxy:
    await proxy.use_model(model, "instant", agent={"allowedModels": ["tools"]})
    return proxy


@pytest.mark.parametrize("client", ["openai-agents", "openai-agents-chat", "pydantic-ai"])
async def test_a_library_for_python_answers_streams_and_calls_tools(served: Proxy, client: str) -> None:
    output = await told(served, CLIENTS / "agents/bin/python", HERE / "agents_client.py", client)
    assert json.loads(output) == {"text": TEXT, "streamed": TEXT, "results": RESULTS, "final": TEXT}


async def test_vercels_ai_sdk_answers_streams_and_calls_tools(served: Proxy) -> None:
    clients = {"JAVASCRIPT_CLIENTS": str(CLIENTS / "javascript")}
    output = await told(served, CLIENTS / "mcp/bin/node", HERE / "vercel_client.mjs", **clients)
    expected: dict[str, Any] = {"text": TEXT, "tokens": 10, "streamed": TEXT, "results": RESULTS, "final": TEXT}
    assert json.loads(output) == dict.fromkeys(("responses", "chat", "compatible"), expected)


async def test_codex_answers_by_the_responses_api(served: Proxy, tmp_path: Path) -> None:
    home = tmp_path / "codex"
    home.mkdir()
    provider = {
        "name": "Sympozium",
        "base_url": f"{served.url}/v1",
        "env_key": "OPENAI_API_KEY",
        "wire_api": "responses",
    }
    fields = "\n".join(f"{name} = {json.dumps(value)}" for name, value in provider.items())
    config = f'model_provider = "sympozium"\n[model_providers.sympozium]\n{fields}\nrequest_max_retries = 0\n'
    (home / "config.toml").write_text(config)
    codex = CLIENTS / "javascript/node_modules/.bin/codex"
    command = (codex, "exec", "--skip-git-repo-check", "-C", tmp_path, "-m", "default", "say hello")
    node = f"{CLIENTS / 'mcp/bin'}:{os.environ['PATH']}"
    assert TEXT in await told(served, *command, CODEX_HOME=str(home), PATH=node)
