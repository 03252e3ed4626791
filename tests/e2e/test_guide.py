"""The guides of clients: their blocks do what they say, as they stand there."""

import os
import re
import secrets
import subprocess
import sys
from pathlib import Path

import httpx2
import pytest
from tests.e2e.conftest import Endpoint, agent_run, instance, until
from tests.e2e.test_clients import CLIENTS, TEXT

GUIDES = Path(__file__).parents[2] / "docs/guides"


def _blocks(guide: str) -> list[tuple[str, str]]:
    return re.findall(r"```(python|javascript|sh)\n(.*?)```", (GUIDES / guide).read_text(), re.DOTALL)


BLOCKS = _blocks("openai-clients.md")


def _run(endpoint: Endpoint, *command: str) -> str:
    environ = os.environ | {
        "OPENAI_BASE_URL": f"{endpoint.url}/v1",
        "OPENAI_API_KEY": endpoint.key,
        "KEY": endpoint.key,
    }
    done = subprocess.run(command, env=environ, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize(
    ("language", "block"), BLOCKS, ids=[f"{n} {language}" for n, (language, _) in enumerate(BLOCKS)]
)
def test_a_block_of_the_guide_prints_the_models_answer(chat: Endpoint, language: str, block: str) -> None:
    match language:
        case "sh":
            told = _run(chat, "bash", "-c", block)
            assert all(f'"content":"{token}"' in told for token in ("Hello", " from"))
            assert told.endswith("data: [DONE]\n\n")
        case "javascript":
            script = CLIENTS / f"node/guide-{secrets.token_hex(4)}.mjs"  # a module is looked for beside who imports it
            script.write_text(block)
            try:
                assert TEXT in _run(chat, "node", str(script))
            finally:
                script.unlink()
        case _:
            python = str(CLIENTS / "langchain/bin/python") if "langchain" in block else sys.executable
            assert TEXT in _run(chat, python, "-c", block)


def test_the_guide_has_a_block_for_every_client() -> None:
    assert [language for language, _ in BLOCKS] == ["sh", "python", "python", "javascript", "python"]


def test_the_guide_of_the_responses_api_is_one_program(chat: Endpoint) -> None:
    program = "\n".join(block for _, block in _blocks("responses.md"))
    told = _run(chat, sys.executable, "-c", program)
    assert told == f"{TEXT}\n{TEXT}\n{TEXT}"  # the last stream goes on after its end: nothing is told twice


def test_the_guide_of_keys_adds_limits_lists_and_revokes_a_key(chat: Endpoint, tmp_path: Path) -> None:
    """And the guide of privacy deletes that key's runs."""
    name, add, limit, budget, runs, used, revoke = [block for _, block in _blocks("api-keys.md")]
    delete_one, delete_all = [block for _, block in _blocks("privacy.md") if block.startswith("kubectl delete")]
    config = chat.namespace.kubeconfig(tmp_path)

    def shell(*blocks: str) -> str:
        script = "\n".join(block.replace("assistant", chat.instance) for block in (name, *blocks))
        environ = os.environ | {"KUBECONFIG": config}
        return subprocess.check_output(["bash", "-euo", "pipefail", "-c", script], env=environ, text=True)

    def status(key: str) -> int:
        return chat.http.get("/v1/models", headers={"Authorization": f"Bearer {key}"}).status_code

    def limits(key: str) -> httpx2.Headers:
        body = {"messages": [{"role": "user", "content": "hello"}]}
        return chat.http.post("/v1/chat/completions", json=body, headers={"Authorization": f"Bearer {key}"}).headers

    key = shell(add).splitlines()[-1]
    until(lambda: status(key) == 200, within=90)
    body, headers = {"messages": [{"role": "user", "content": "hello"}]}, {"Authorization": f"Bearer {key}"}
    answers = [chat.http.post("/v1/chat/completions", json=body, headers=headers) for _ in range(2)]
    for answer in answers:
        chat.namespace.run_ends(answer.headers["x-sympozium-run"])
    of_key = [line.split() for line in shell(runs).splitlines() if " api-key-alice " in line]
    assert {run for run, *_ in of_key} == {answer.headers["x-sympozium-run"] for answer in answers}
    assert all(int(tokens) > 0 for _, _, tokens in of_key)
    shell(limit)
    until(lambda: limits(key).get("x-ratelimit-limit-requests") == "50", within=90)
    shell(budget)
    until(lambda: limits(key).get("x-ratelimit-limit-tokens") == "100000", within=90)
    until(lambda: '"api-key-alice":' in shell(used), within=90)
    shell(delete_one.replace("assistant-3f9c0d1e2b4a", of_key[0][0]), delete_all)
    assert " api-key-alice " not in shell(runs)
    shell(revoke)
    until(lambda: status(key) == 401, within=90)


def test_the_lines_that_wait_end_with_the_outcome(chat: Endpoint, tmp_path: Path) -> None:
    """Of what fails they end at once, not with their timeout."""
    of_run, of_instance = [block for _, block in _blocks("troubleshooting.md") if block.startswith("kubectl wait")]
    environ = os.environ | {"KUBECONFIG": chat.namespace.kubeconfig(tmp_path)}

    def succeeds(line: str) -> bool:
        """Return true if a line succeeds. Raises TimeoutExpired shortly before the lines themselves would give up."""
        patience = 110 if "--timeout=2m" in line else 300
        done = subprocess.run(
            ["bash", "-c", line], env=environ, capture_output=True, text=True, check=False, timeout=patience
        )
        return done.returncode == 0

    asks = {"task": "hello", "agentRef": chat.instance}
    chat.namespace.apply(agent_run("answered", **asks), agent_run("refused", **asks, model={"model": "status:500"}))
    assert succeeds(of_run.replace("question", "answered"))
    assert not succeeds(of_run.replace("question", "refused"))
    secret = [{"provider": "openai", "secret": "nowhere"}]
    chat.namespace.apply(instance("keyless", authRefs=secret), instance("fresh", webEndpoint={"enabled": True}))
    assert not succeeds(of_instance.replace("assistant", "keyless"))
    assert succeeds(of_instance.replace("assistant", "fresh"))
    for name in ("keyless", "fresh"):
        chat.namespace.delete("instance", name)


@pytest.mark.parametrize(
    ("command", "mark"),
    [
        (("bash", "-c"), "curl "),
        ((sys.executable, "-c"), "import Client\n"),
        ((str(CLIENTS / "mcp-python-1/bin/python"), "-c"), "import ClientSession\n"),
        ((str(CLIENTS / "mcp-python-1/bin/python"), "-c"), "import MultiServerMCPClient\n"),
    ],
    ids=["curl", "python-2", "python-1", "langchain"],
)
def test_the_guide_of_mcp_calls_the_agent(chat: Endpoint, command: tuple[str, str], mark: str) -> None:
    [block] = [block for _, block in _blocks("mcp.md") if mark in block]
    assert TEXT in _run(chat, *command, block.replace("http://127.0.0.1:8080", chat.url))
