"""The commands of ``python -m sympozium_platform``, in front of a running API."""

import asyncio
import re
import sys
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import pytest
from tests.fakes.pod import FakePod
from tests.fakes.tool_operator import reconcile_tools
from tests.integration.platform.conftest import NAMESPACE, Platform

from sympozium_api.resources import INSTANCES, RUNS, TOOL_BINDINGS, TOOLS
from sympozium_platform.operators.command_line import run
from sympozium_platform.operators.dashboard import state
from sympozium_platform.operators.load import LoadRequest, load
from sympozium_platform.operators.platform_client import PlatformClient


@pytest.fixture
async def client(platform: Platform) -> AsyncIterator[PlatformClient]:
    async with PlatformClient.connect(platform.url, await platform.key()) as client:
        assert (await client.sign_in()).status == 200
        yield client


async def command(platform: Platform, *words: str, key: str | None = None) -> tuple[int, str, str]:
    """Exit status, output and errors of a command, in a process of its own."""
    environ = {"API_URL": platform.url, "API_KEY": key if key is not None else await platform.key()}
    environ |= {"PYTHONPATH": ":".join(sys.path)}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "sympozium_platform", *words),
        env=environ,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    output, errors = await process.communicate()
    assert process.returncode is not None
    return process.returncode, output.decode(), errors.decode()


async def answer_runs(platform: Platform) -> None:
    """Answer each new run, without end."""
    answered = set[str]()
    async with asyncio.TaskGroup() as pods:
        while True:
            for run in await platform.kubernetes.list(RUNS, NAMESPACE):
                if (name := run["metadata"]["name"]) not in answered:
                    answered.add(name)
                    pods.create_task(FakePod(run, platform.issuer, platform.surface).answer("ready"))
            await asyncio.sleep(0.01)


async def test_the_check_calls_every_documented_route_and_leaves_nothing(archiving: Platform) -> None:
    at_work = [
        asyncio.create_task(answer_runs(archiving)),
        asyncio.create_task(reconcile_tools(archiving.kubernetes, archiving.clock)),
    ]
    status, output, errors = await command(archiving, "check", archiving.url)
    for task in at_work:
        task.cancel()
    await asyncio.gather(*at_work, return_exceptions=True)
    assert (status, errors) == (0, ""), output
    *lines, last = output.splitlines()
    assert re.fullmatch(r"\d+ passed, 0 failed", last)
    assert [line for line in lines if not line.startswith("ok ")] == [
        line for line in lines if re.match(r"off +GET +/auth/test-token +404 ", line)
    ]
    assert "the run failed" not in output
    for kind in (INSTANCES, TOOLS, TOOL_BINDINGS):
        assert archiving.kubernetes.names(kind) == []


async def test_a_check_without_a_model_names_what_fails_and_what_was_not_called(platform: Platform) -> None:
    status, output, _ = await command(platform, "check", "--model", "nobody:model")
    assert status == 1
    [refusal] = [line for line in output.splitlines() if re.match(r"FAIL +POST +/agents ", line)]
    assert "422" in refusal
    assert re.search(r"FAIL +POST +/runs +was not called, because there is no agent_id", output)


async def test_a_load_reports_times_rate_and_errors(platform: Platform) -> None:
    limit = platform.context.limits.default.calls
    status, output, errors = await command(platform, "load", platform.url, "4", "0.5")
    assert (status in (0, 1), errors) == (True, "")
    head, *figures = output.splitlines()
    assert head == "4 callers, 0.5 s: GET /agents?limit=50"
    assert [line.split()[0] for line in figures[:4]] == ["rate", "p50", "p95", "errors"]
    assert "ms" in figures[1]
    assert int(figures[0].partition("(")[2].split()[0]) <= limit
    assert (status == 0) == (int(figures[3].split()[1]) == 0)


async def test_a_load_tells_errors_by_their_status_with_an_example(client: PlatformClient, platform: Platform) -> None:
    figures = await load(client, LoadRequest("GET", "/nowhere"), 2, 0.1)
    assert set(figures.errors) == {404}
    lines = list(figures.lines())
    assert lines[1].split() == ["p50", "-"]
    assert lines[-1].endswith("There is no route /nowhere. GET /openapi.json lists the routes.")


async def test_the_dashboard_shows_the_pool_and_the_runs_of_the_last_minute(client: PlatformClient) -> None:
    lines = await state(client, datetime.now(UTC))
    assert re.fullmatch(r"pool +\[[# ]{30}\] [0-9.]+ %", lines[1])
    [runs] = [line for line in lines if line.startswith("runs")]
    assert runs == "runs      0 in the last minute, 0 in all"


async def test_a_refused_token_is_replaced_once(client: PlatformClient, platform: Platform) -> None:
    client._token = "old"
    assert (await client.request("GET", "/api-keys")).status == 200
    client._token, client._api_key = "old", "unknown"
    assert (await client.request("GET", "/api-keys")).status == 401


async def test_without_a_known_key_or_an_answer_there_is_a_sentence(platform: Platform) -> None:
    status, output, errors = await command(platform, "check", key="unknown")
    assert (status, output) == (1, "")
    assert errors.startswith("There is no token for the key in API_KEY: 401: ")
    status, _, errors = await command(platform, "load", "http://127.0.0.1:9", "1", "1")
    assert status == 1
    assert errors.startswith("There is no token for the key in API_KEY: no answer: ")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["load", "http://x", "0", "1"], "0 is not a whole number above 0"),
        (["load", "http://x", "1", "nan"], "nan is not a number of seconds above 0"),
        (["dashboard", "--interval", "x"], "x is not a number of seconds above 0"),
    ],
)
def test_wrong_arguments_are_named(words: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        run(words, {})
    assert ended.value.code == 2
    assert message in capsys.readouterr().err
