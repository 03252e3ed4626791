"""Streams of runs over HTTP."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

from tests.fakes.pod import done, failed
from tests.integration.conftest import eventually
from tests.integration.platform.agents import publish
from tests.integration.platform.asking import ask, events
from tests.integration.platform.conftest import Platform, error, serving

from sympozium_api.resources import RUNS
from sympozium_archive.database import Database
from sympozium_platform.platform_settings import PlatformSettings


class TestAStream:
    async def test_starts_at_once_and_ends_with_the_result(self, platform: Platform) -> None:
        agent = publish(platform.kubernetes)
        body = {"agent_id": agent, "input_message": "hi"}
        async with platform.http.stream("POST", "/runs/stream", json=body) as response:
            lines = response.aiter_lines()
            assert await anext(lines) == "event: start"
            start = json.loads((await anext(lines)).removeprefix("data: "))
            run = (await platform.request("GET", f"/runs/{start['run_id']}")).json()
            assert start == {"run_id": run["id"], "trace_id": run["trace_id"]}
            await (await platform.pod()).answer("Hel", "lo")
            rest = [line async for line in lines if line]
        assert rest[0] == "event: result"
        tokens = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}
        assert json.loads(rest[1].removeprefix("data: ")) == {"output": "Hello", "tokens": tokens}
        assert len(rest) == 2

    async def test_ends_with_the_error_of_a_run_that_failed(self, platform: Platform) -> None:
        asking = asyncio.create_task(ask(platform, publish(platform.kubernetes), path="/runs/stream"))
        await (await platform.pod()).say({"type": "started"}, failed("model_error", "The model is down.", 502))
        assert events(await asking)[1:] == [("error", {"error": "The model is down."})]

    async def test_may_have_the_answer_as_it_is_written_and_the_tools(self, platform: Platform) -> None:
        asking = asyncio.create_task(ask(platform, publish(platform.kubernetes), path="/runs/stream?deltas=true"))
        tool = {"type": "tool", "id": "c1", "function": "echo", "state": "started"}
        words = [{"type": "delta", "choices": [{"index": 0, "delta": {"content": word}}]} for word in ("Hel", "lo")]
        await (await platform.pod()).say({"type": "started"}, tool, *words, done("Hello"))
        found = events(await asking)
        assert [name for name, _ in found] == ["start", "tool", "delta", "delta", "result"]
        assert found[1][1] == {"id": "c1", "function": "echo", "state": "started"}
        assert "".join(data["content"] for name, data in found if name == "delta") == "Hello"

    async def test_that_its_caller_leaves_ends_nothing(self, platform: Platform) -> None:
        agent = publish(platform.kubernetes)
        body = {"agent_id": agent, "input_message": "hi"}
        async with platform.http.stream("POST", "/runs/stream", json=body) as response:
            await anext(response.aiter_lines())
        await (await platform.pod()).answer("Hello")
        [run] = (await platform.request("GET", "/runs")).json()
        assert (run["status"], run["output_message"]) == ("succeeded", "Hello")

    async def test_and_a_wait_end_when_the_console_is_replaced_and_the_run_goes_on(self, platform: Platform) -> None:
        agent = publish(platform.kubernetes)
        waiting = asyncio.create_task(ask(platform, agent))
        first = await platform.pod()
        streaming = asyncio.create_task(ask(platform, agent, path="/runs/stream"))
        await platform.pod(among=2)
        platform.console.draining.set()
        response = await waiting
        assert (response.status_code, response.json()["status"]) == (202, "queued")
        assert [name for name, _ in events(await streaming)] == ["start"]
        await first.answer("Hello")
        run = await platform.request("GET", f"/runs/{response.json()['id']}")
        assert run.json()["output_message"] == "Hello"


async def test_a_key_has_as_many_streams_as_it_may_and_other_keys_their_own(tmp_path: Path) -> None:
    database = await Database.open_scratch(str(tmp_path / "index.db"))
    async with serving(tmp_path, database, PlatformSettings(most_streams=1)) as platform:
        body = {"agent_id": publish(platform.kubernetes), "input_message": "hi"}
        async with platform.http.stream("POST", "/runs/stream", json=body) as response:
            await anext(response.aiter_lines())
            refused = await platform.request("POST", "/runs/stream", json=body)
            assert error(refused, 429)["code"] == "too_many_streams"
            assert "retry-after" in refused.headers
            assert len(platform.kubernetes.names(RUNS)) == 1
            token = await platform.token(user="grace")
            asking = asyncio.create_task(ask(platform, body["agent_id"], path="/runs/stream", token=token))
            await (await platform.pod(among=2)).answer("Hello")
            assert [name for name, _ in events(await asking)] == ["start", "result"]
        for _ in range(2):
            number = len(platform.kubernetes.names(RUNS)) + 1
            asking = asyncio.create_task(ask(platform, body["agent_id"], path="/runs/stream"))
            await (await platform.pod(among=number)).answer("Hello")
            assert [name for name, _ in events(await asking)] == ["start", "result"]
    await database.close()


async def test_streams_that_are_asked_for_at_once_are_counted(tmp_path: Path) -> None:
    database = await Database.open_scratch(str(tmp_path / "index.db"))
    async with serving(tmp_path, database, PlatformSettings(most_streams=1)) as platform:
        body = {"agent_id": publish(platform.kubernetes), "input_message": "hi"}
        asking = [asyncio.create_task(platform.request("POST", "/runs/stream", json=body)) for _ in range(4)]
        await eventually(lambda: sum(task.done() for task in asking) == 3)
        await (await platform.pod()).answer("Hello")
        assert sorted(answer.status_code for answer in await asyncio.gather(*asking)) == [200, 429, 429, 429]
        assert len(platform.kubernetes.names(RUNS)) == 1
    await database.close()


async def test_a_stream_is_kept_alive(tmp_path: Path) -> None:
    database = await Database.open_scratch(str(tmp_path / "index.db"))
    async with serving(tmp_path, database, PlatformSettings(keep_alive_seconds=1)) as platform:
        body = {"agent_id": publish(platform.kubernetes), "input_message": "hi"}
        async with platform.http.stream("POST", "/runs/stream", json=body) as response:
            lines = [line async for line in async_until(response.aiter_lines(), ": keep-alive")]
        assert lines[0] == "event: start"
    await database.close()


async def async_until(lines: AsyncIterator[str], last: str) -> AsyncIterator[str]:
    async for line in lines:
        yield line
        if line == last:
            return
