"""The commands of ``python -m sympozium_platform``, in front of a running API."""

import asyncio
import sys
from collections.abc import AsyncIterator

import pytest
from tests.integration.platform.conftest import Platform

from sympozium_platform.operators.command_line import run
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


async def test_a_load_tells_errors_by_their_status_with_an_example(client: PlatformClient, platform: Platform) -> None:
    figures = await load(client, LoadRequest("GET", "/nowhere"), 2, 0.1)
    assert set(figures.errors) == {404}
    lines = list(figures.lines())
    assert lines[1].split() == ["p50", "-"]
    assert lines[-1].endswith("There is no route /nowhere. GET /openapi.json lists the routes.")


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
