"""The event stream of a run."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import httpx2
import pytest
from tests.fakes.crd_admission import unseen_status
from tests.integration.conftest import eventually
from tests.integration.console.conftest import Console, error, run

from sympozium_api.resources import RUNS, Object
from sympozium_console.change_feed import feed

OPEN = unseen_status("agentruns")


class Stream:
    """Reader of server-sent events."""

    def __init__(self, response: httpx2.Response) -> None:
        self._lines = response.aiter_lines()

    async def next(self) -> tuple[str, Object] | None:
        """Return type and data of the next event, ``("", {})`` for a comment, None at the end of the stream."""
        frame: list[str] = []
        async with asyncio.timeout(60):
            async for line in self._lines:
                if not line:
                    break
                frame.append(line)
        if not frame:
            return None
        fields = dict(line.split(": ", 1) for line in frame)
        return (fields["event"], json.loads(fields["data"])) if "event" in fields else ("", {})

    async def until(self, event_type: str) -> Object:
        """Return the data of the next event of a type."""
        while (event := await self.event()) is not None and event[0] != event_type:
            pass
        assert event is not None, f"no {event_type}"
        return event[1]

    async def event(self) -> tuple[str, Object] | None:
        """Return the next event that is not a comment."""
        while (event := await self.next()) == ("", {}):
            pass
        return event


class TestEventStream:
    @asynccontextmanager
    async def followed(self, console: Console, name: str = "w1") -> AsyncIterator[Stream]:
        async with console.http.stream("GET", f"/api/v1/runs/{name}/events") as response:
            assert response.status_code == 200
            assert response.headers["content-type"].startswith("text/event-stream")
            yield Stream(response)

    def watches(self, console: Console) -> Iterator[str]:
        return (plural for plural, *_ in console.kubernetes._watches)

    async def test_every_status_is_sent_until_the_run_has_ended(self, console: Console) -> None:
        console.kubernetes.put(run("w1"))
        async with self.followed(console) as stream:
            assert await stream.event() == ("status", OPEN)
            console.kubernetes.put(run("w1", phase="Running"))
            assert await stream.event() == ("status", {"phase": "Running", "result": "Hello"} | OPEN)
            console.kubernetes.put(run("w1", phase="Running", cancel=True))  # not a change of its status
            console.kubernetes.put(run("w1", phase="Cancelled"))
            assert await stream.event() == ("status", {"phase": "Cancelled", "result": "Hello"} | OPEN)
            assert await stream.event() is None
        await eventually(lambda: not list(self.watches(console)))

    async def test_the_bytes_of_events_and_comments_are_plain_lines(self, console: Console) -> None:
        console.kubernetes.put(run("w1"))
        async with console.http.stream("GET", "/api/v1/runs/w1/events") as response:
            assert response.headers["content-type"] == "text/event-stream; charset=utf-8"
            assert response.headers["cache-control"] == "no-cache"
            assert response.headers["x-accel-buffering"] == "no"
            content = b""
            async with asyncio.timeout(60):
                async for chunk in response.aiter_bytes():
                    content += chunk
                    if content.endswith(b": keep-alive\n\n"):
                        console.kubernetes.put(run("w1", phase="Failed"))
        assert content.count(b": keep-alive\n\n") >= 1
        statuses = (OPEN, OPEN | {"phase": "Failed", "result": "Hello"})
        data = [json.dumps(status, separators=(",", ":")) for status in statuses]
        events = "".join(f"event: status\ndata: {text}\n\n" for text in data)
        assert content.replace(b": keep-alive\n\n", b"").decode() == events

    async def test_the_status_of_an_ended_run_is_sent_at_once(self, console: Console) -> None:
        console.kubernetes.put(run("w1", phase="Succeeded"))
        async with self.followed(console) as stream:
            assert await stream.event() == ("status", {"phase": "Succeeded", "result": "Hello"})
            assert await stream.event() is None

    async def test_a_client_that_ends_lines_where_unicode_does_reads_each_event(self, console: Console) -> None:
        ended = run("w1", phase="Succeeded")
        ended["status"]["result"] = "one\u2028two\u0085three\u2029"
        console.kubernetes.put(ended)
        async with self.followed(console) as stream:
            assert await stream.event() == ("status", ended["status"])

    async def test_kubernetes_events_about_the_run_are_sent(self, console: Console) -> None:
        console.kubernetes.put(run("w1"))
        about = {"kind": "AgentRun", "name": "w1"}
        warning: Object = {"apiVersion": "v1", "kind": "Event", "metadata": {"name": "w1.1"}, "involvedObject": about}
        warning |= {"type": "Warning", "reason": "StartFailed", "message": "no room", "count": 1}
        async with self.followed(console) as stream:
            assert await stream.event() == ("status", OPEN)
            await eventually(lambda: "events" in self.watches(console))
            console.kubernetes.put(warning | {"metadata": {"name": "x.1"}, "involvedObject": about | {"name": "x"}})
            console.kubernetes.put(warning)
            expected = {"type": "Warning", "reason": "StartFailed", "message": "no room", "count": 1}
            assert await stream.event() == ("event", expected | {"lastTimestamp": None})

    async def test_the_terminal_status_is_the_last_event(self, console: Console) -> None:
        about = {"kind": "AgentRun", "name": "w1"}
        for number in range(3):
            warning: Object = {"apiVersion": "v1", "kind": "Event", "metadata": {"name": f"w1.{number}"}}
            console.kubernetes.put(warning | {"involvedObject": about, "reason": f"R{number}"})
        console.kubernetes.put(run("w1", phase="Failed"))
        async with self.followed(console) as stream:
            events = [await stream.event() for _ in range(5)]
        assert [event[1].get("reason") for event in events[:3] if event] == ["R0", "R1", "R2"]
        assert events[3:] == [("status", {"phase": "Failed", "result": "Hello"}), None]

    async def test_comments_keep_a_stream_alive_and_a_deleted_run_ends_it(self, console: Console) -> None:
        console.kubernetes.put(run("w1"))
        async with self.followed(console) as stream:
            assert await stream.next() == ("status", OPEN)
            assert await stream.next() == ("", {})
            console.kubernetes.remove(RUNS, "w1")
            assert await stream.event() == ("deleted", {"namespace": "default", "name": "w1"})
            assert await stream.event() is None

    async def test_a_disconnect_ends_the_watches(self, console: Console) -> None:
        console.kubernetes.put(run("w1"))
        async with self.followed(console) as stream:
            await stream.event()
            await eventually(lambda: sorted(self.watches(console)) == ["agentruns", "events"])
        await eventually(lambda: not list(self.watches(console)))

    async def test_a_draining_console_ends_its_streams(self, console: Console) -> None:
        console.kubernetes.put(run("w1"))
        async with self.followed(console) as stream:
            await stream.event()
            console.context.draining.set()
            assert await stream.event() is None

    async def test_a_stream_survives_an_expired_watch(self, console: Console) -> None:
        console.kubernetes.put(run("w1"))
        async with self.followed(console) as stream:
            await stream.event()
            await eventually(lambda: "agentruns" in self.watches(console))
            console.kubernetes.expire_watches()
            console.kubernetes.put(run("w1", phase="Failed"))
            assert await stream.event() == ("status", {"phase": "Failed", "result": "Hello"} | OPEN)

    async def test_the_stream_of_an_absent_run_is_not_found(self, console: Console) -> None:
        assert error(await console.request("GET", "/api/v1/runs/absent/events"), 404)["reason"] == "NotFound"


async def test_streams_of_runs_count_towards_the_streams_of_their_caller(
    console: Console, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feed, "_MOST_OF_CALLER", 1)
    console.kubernetes.put(run("w1"))
    console.kubernetes.put(run("w2"))
    async with console.http.stream("GET", "/api/v1/runs/w1/events") as response:
        assert await Stream(response).event() is not None
        refused = await console.http.get("/api/v1/runs/w2/events")
        assert error(refused, 429)["message"] == "The caller has 1 streams open at this replica."
    await eventually(lambda: console.context.feed.open_streams._value.get() == 0)
