"""Agents for the command line, each in a process and a home of its own, whose tool the scripted model calls."""

import json
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from tests.fakes.model import TOKENS
from tests.integration.clients.conftest import CLIENTS, installed, told
from tests.integration.conftest import KEY, Proxy

Agent = Callable[[Proxy, Path, str], Awaitable[str]]
"""Runs an agent in a home folder with a prompt, and returns what it prints."""
TEXT = "".join(TOKENS)
COUNT = "echo a$((6*7))b"
"""A command whose output is not in the prompt: ``a42b``."""
CODING_AGENTS = CLIENTS / "coding-agents/node_modules"


def codex_home(proxy: Proxy, folder: Path) -> dict[str, str]:
    """Return the variables of a Codex CLI whose provider is this web-proxy."""
    provider = {
        "name": "Sympozium",
        "base_url": f"{proxy.url}/v1",
        "env_key": "OPENAI_API_KEY",
        "wire_api": "responses",
    }
    fields = "\n".join(f"{name} = {json.dumps(value)}" for name, value in provider.items())
    folder.mkdir()
    (folder / "config.toml").write_text(
        f'model_provider = "sympozium"\n[model_providers.sympozium]\n{fields}\nrequest_max_retries = 0\n'
    )
    return {"CODEX_HOME": str(folder)}


async def codex(proxy: Proxy, folder: Path, model: str, prompt: str) -> str:
    program = CLIENTS / "javascript/node_modules/.bin/codex"
    command = (program, "exec", "--skip-git-repo-check", "--dangerously-bypass-approvals-and-sandbox", "-C", folder)
    return await told(proxy, *command, "-m", model, prompt, variables=codex_home(proxy, folder / "home"))


@installed("javascript")
async def test_codex_answers_by_the_responses_api(served: Proxy, tmp_path: Path) -> None:
    assert TEXT in await codex(served, tmp_path, "default", "say hello")


@installed("javascript")
async def test_codex_runs_a_command_that_the_model_calls(served: Proxy, tmp_path: Path) -> None:
    prompt = f"[[exec_command {json.dumps({'cmd': COUNT})}]]"
    assert "a42b" in await codex(served, tmp_path, "calls", prompt)


async def opencode(proxy: Proxy, home: Path, prompt: str) -> str:
    options = {"baseURL": f"{proxy.url}/v1", "apiKey": KEY}
    provider = {"npm": "@ai-sdk/openai-compatible", "options": options, "models": {"calls": {"tool_call": True}}}
    config = {"provider": {"sympozium": provider}, "share": "disabled", "autoupdate": False, "permission": "allow"}
    variables = {
        "OPENCODE_CONFIG_CONTENT": json.dumps(config),
        "OPENCODE_DISABLE_MODELS_FETCH": "true",
        "OPENCODE_DISABLE_LSP_DOWNLOAD": "true",
    }
    [program] = CODING_AGENTS.glob("opencode-*/bin/opencode")
    command: tuple[str | Path, ...] = (program, "run", "--pure", "--model", "sympozium/calls")
    command += tuple(prompt.split(" "))  # it would quote a word with a space
    return await told(proxy, *command, folder=home, variables=variables | {"HOME": str(home)})


async def qwen_code(proxy: Proxy, home: Path, prompt: str) -> str:
    program = CODING_AGENTS / ".bin/qwen"
    command = (program, "--auth-type", "openai", "--model", "calls", "--approval-mode", "yolo", "--prompt", prompt)
    return await told(proxy, *command, folder=home, variables={"HOME": str(home)})


async def continue_cli(proxy: Proxy, home: Path, prompt: str) -> str:
    model = {"name": "calls", "provider": "openai", "model": "calls", "apiBase": f"{proxy.url}/v1", "apiKey": KEY}
    config = {"name": "tests", "version": "1.0.0", "schema": "v1", "models": [model | {"capabilities": ["tool_use"]}]}
    (home / "config.yaml").write_text(json.dumps(config))
    command = (CODING_AGENTS / ".bin/cn", "--config", home / "config.yaml", "--auto", "--print", prompt)
    return await told(proxy, *command, folder=home, variables={"HOME": str(home)})


@installed("coding-agents")
@pytest.mark.parametrize(
    ("agent", "tool", "arguments"),
    [
        (opencode, "bash", {"command": COUNT, "description": "Count"}),
        (qwen_code, "glob", {"pattern": "a4*"}),
        (continue_cli, "Bash", {"command": COUNT}),
    ],
    ids=["opencode", "qwen-code", "continue"],
)
async def test_an_agent_runs_the_tool_that_the_model_calls(
    served: Proxy, tmp_path: Path, agent: Agent, tool: str, arguments: dict[str, object]
) -> None:
    home = tmp_path / "home"
    home.mkdir()
    (home / "a42b").touch()
    assert "a42b" in await agent(served, home, f"[[{tool} {json.dumps(arguments)}]]")
