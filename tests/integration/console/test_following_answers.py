"""The answer of a run in its event stream: its pieces as they come to this replica, and what a caller lacks at its end."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from typing import Any

import pytest
from tests.fakes.pod import FakePod, delta, done, failed
from tests.integration.conftest import eventually
from tests.integration.console.conftest import Console, run
from tests.integration.console.test_following import Stream

from sympozium_api.resources import RUNS, Object
from sympozium_console import object_watching, run_events
from sympozium_console.run_events import FollowedRun

pytestmark = pytest.mark.usefixtures("watching")

TASK = {"agentRef": "demo", "task": "hello"}
TOOL = {"type": "tool", "id": "c1", "function": "search", "state": "started"}


async def started(console: Console) -> tuple[str, FakePod]:
    response = await console.http.post("/api/v1/runs", json=TASK)
    assert response.status_code == 201, response.text
    return response.json()["metadata"]["name"], await console.pod()


@asynccontextmanager
async def followed(console: Console, name: str, query: str = "", **headers: str) -> AsyncIterator[Stream]:
    url = f"/api/v1/runs/{name}/events{query}"
    named = {key.replace("_", "-"): value for key, value in headers.items()}
    async with console.http.stream("GET", url, headers=named) as response:
        assert response.status_code == 200
        yield Stream(response)


async def next_of_answer(stream: Stream) -> tuple[str, Object] | None:
    while (event := await stream.event()) is not None and event[0] == "status":
        pass
    return event


async def rest(stream: Stream) -> list[tuple[str, Object]]:
    """The remaining events, without the statuses of the open run."""
    events = []
    while (event := await stream.event()) is not None:
        if event[0] != "status" or "phase" in event[1]:
            events.append(event)
    return events


async def entitled() -> bool:
    """The judge of a caller that may see all."""
    return True


def texts(events: list[tuple[str, Object]]) -> str:
    return "".join(data["content"] for kind, data in events if kind == "delta")


class TestAnAnswerThatComesToThisReplica:
    async def test_is_streamed_piece_by_piece_with_tools_and_the_terminal_status_last(self, console: Console) -> None:
        name, pod = await started(console)
        more = asyncio.Event()
        async with followed(console, name) as stream:
            saying = asyncio.create_task(
                pod.say({"type": "started"}, delta("Hel"), TOOL, more, delta("lo"), done("Hello"))
            )
            assert await next_of_answer(stream) == ("delta", {"content": "Hel", "after": 3})
            assert await next_of_answer(stream) == ("tool", {"id": "c1", "function": "search", "state": "started"})
            more.set()
            assert await next_of_answer(stream) == ("delta", {"content": "lo", "after": 5})
            events = await rest(stream)
        assert (await saying).json() == {"stored": True}
        assert [kind for kind, _ in events] == ["status"]
        assert (events[0][1]["phase"], events[0][1]["result"]) == ("Succeeded", "Hello")

    async def test_reaches_a_caller_that_comes_later_from_its_beginning(self, console: Console) -> None:
        name, pod = await started(console)
        more = asyncio.Event()
        saying = asyncio.create_task(pod.say({"type": "started"}, delta("Hel"), more, delta("lo"), done("Hello")))
        await eventually(lambda: console.context.instance_runs.is_streaming("default", name))
        async with followed(console, name) as stream:
            assert await next_of_answer(stream) == ("delta", {"content": "Hel", "after": 3})
            more.set()
            assert texts(await rest(stream)) == "lo"
        await saying

    @pytest.mark.parametrize(
        ("query", "headers"), [("?after=4", {}), ("", {"Last_Event_ID": "4"}), ("?after=2", {"Last_Event_ID": "4"})]
    )
    async def test_continues_after_what_its_caller_has(self, console: Console, query: str, headers: Any) -> None:
        name, pod = await started(console)
        async with followed(console, name, query, **headers) as stream:
            await pod.say({"type": "started"}, delta("Hel"), delta("lo"), delta("!"), done("Hello!"))
            assert texts(await rest(stream)) == "o!"

    async def test_that_fails_ends_with_its_status(self, console: Console) -> None:
        name, pod = await started(console)
        async with followed(console, name, "?after=0") as stream:
            await pod.say({"type": "started"}, delta("Hel"), failed("model_error", "gone", 502))
            events = await rest(stream)
        assert [kind for kind, _ in events] == ["delta", "status"]
        assert events[-1][1]["error"]["type"] == "model_error"

    async def test_is_streamed_to_its_end_while_the_console_drains(self, console: Console) -> None:
        name, pod = await started(console)
        more = asyncio.Event()
        async with followed(console, name) as stream:
            saying = asyncio.create_task(pod.say({"type": "started"}, delta("Hel"), more, delta("lo"), done("Hello")))
            assert await next_of_answer(stream) == ("delta", {"content": "Hel", "after": 3})
            console.context.draining.set()
            console.context.instance_runs.drain()
            more.set()
            events = await rest(stream)
        await saying
        assert texts(events) == "lo"
        assert events[-1][1]["phase"] == "Succeeded"

    async def test_waits_for_a_slow_reader_within_the_byte_budget(self, console: Console) -> None:
        name, pod = await started(console)
        runs, more = console.context.instance_runs, asyncio.Event()
        followed_run = FollowedRun("default", name, after=0)
        said = ["x" * 1000] * 500
        following = run_events.follow(console.kubernetes, runs, followed_run, stop=asyncio.Event(), judge=entitled)
        async with aclosing(following) as stream:
            await anext(stream)
            saying = asyncio.create_task(pod.say({"type": "started"}, *map(delta, said), more, done("".join(said))))
            await eventually(lambda: runs.is_streaming("default", name))
            await eventually(lambda: runs.budget.used > 900_000)  # what is kept for others to come, and for this reader
            more.set()
            events = [event async for event in stream]
        await saying
        sent = "".join(json.loads(event.data)["content"] for event in events if event.event == "delta" and event.data)
        assert sent == "".join(said)

    async def test_ends_with_the_right_to_watch_the_run(
        self, console: Console, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(object_watching, "_JUDGED_SECONDS", 0.1)
        name, _ = await started(console)
        allowed = [True, True]
        runs, open_run = console.context.instance_runs, FollowedRun("default", name, after=0)

        async def judge() -> bool | None:
            return allowed.pop() if allowed else None

        stream = run_events.follow(console.kubernetes, runs, open_run, stop=asyncio.Event(), judge=judge)
        async with asyncio.timeout(60), aclosing(stream):
            assert {event.event async for event in stream} == {"status"}

    async def test_goes_on_when_all_its_callers_have_left(self, console: Console) -> None:
        name, pod = await started(console)
        more = asyncio.Event()
        saying = asyncio.create_task(pod.say({"type": "started"}, delta("Hel"), more, done("Hello")))
        async with followed(console, name) as stream:
            await stream.until("delta")
        more.set()
        assert (await saying).json() == {"stored": True}
        assert console.kubernetes.object(RUNS, name)["status"]["phase"] == "Succeeded"


class TestAnAnswerThatComesElsewhere:
    async def test_is_sent_in_one_piece_to_a_caller_that_names_its_place(self, console: Console) -> None:
        console.kubernetes.put(run("w1"))
        async with followed(console, "w1", "?after=2") as stream:
            console.kubernetes.put(run("w1", phase="Succeeded"))
            events = await rest(stream)
        assert events[0] == ("delta", {"content": "llo", "after": 5})
        assert [kind for kind, _ in events] == ["delta", "status"]

    async def test_is_in_the_status_only_for_a_caller_that_names_none(self, console: Console) -> None:
        console.kubernetes.put(run("w1"))
        async with followed(console, "w1") as stream:
            console.kubernetes.put(run("w1", phase="Succeeded"))
            assert [kind for kind, _ in await rest(stream)] == ["status"]

    async def test_continues_what_a_replica_that_died_had_streamed(self, console: Console) -> None:
        """A new replica has no piece: the pod sends its records elsewhere, and the answer is stored there."""
        name, pod = await started(console)
        async with followed(console, name) as stream:
            broken = asyncio.create_task(pod.say({"type": "started"}, delta("Hel"), asyncio.Event()))
            has = (await stream.until("delta"))["after"]
            broken.cancel()
            await asyncio.gather(broken, return_exceptions=True)
        async with followed(console, name, f"?after={has}") as stream:
            console.kubernetes.put(
                {"kind": "AgentRun", "metadata": {"name": name}, "status": {"phase": "Succeeded", "result": "Hello"}}
            )
            assert texts(await rest(stream)) == "lo"

    @pytest.mark.parametrize("after", ["-1", "x", "1.5"])
    async def test_of_a_wrong_place_is_refused(self, console: Console, after: str) -> None:
        console.kubernetes.put(run("w1"))
        assert (await console.http.get(f"/api/v1/runs/w1/events?after={after}")).status_code == 400
