"""The stream of changes and the lists that the watches answer, on a console's real socket."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from tests.integration.conftest import eventually, instance
from tests.integration.console.conftest import Console, error, run

from sympozium_api.client import ApiUnavailable
from sympozium_api.resources import CONFIGS, INSTANCES, RUNS, SKILL_PACKS, Object
from sympozium_console.change_feed import feed as feeds
from sympozium_console.change_feed.change_ring import ChangeRing
from sympozium_http import event_streams

WATCH = "/api/v1/watch"
Event = tuple[str, Object, str]
"""Type, data and id."""


@pytest.fixture
async def fed(console: Console) -> AsyncIterator[Console]:
    """A console with its watches."""
    loops = [asyncio.create_task(loop()) for loop in console.context.feed.loops.values()]
    kinds = (INSTANCES, RUNS, SKILL_PACKS, CONFIGS)
    await eventually(lambda: all(console.kubernetes.watches_open(kind) == 1 for kind in kinds))
    yield console
    for loop in loops:
        loop.cancel()
    await asyncio.gather(*loops, return_exceptions=True)


class Stream:
    """An open stream of changes."""

    def __init__(self, lines: AsyncIterator[str]) -> None:
        self._lines = lines
        self.retry = 0

    async def next(self) -> Event:
        fields: dict[str, str] = {}
        async with asyncio.timeout(60):
            async for line in self._lines:
                name, _, value = line.partition(": ")
                if name == "retry":
                    self.retry = int(value)
                elif line and name:
                    fields[name] = value
                elif not line and "event" in fields:
                    return fields["event"], json.loads(fields["data"]), fields["id"]
        raise AssertionError("the stream has ended")

    async def has_ended(self) -> bool:
        async with asyncio.timeout(60):
            return [line async for line in self._lines if line.startswith("event")] == []


@asynccontextmanager
async def watched(console: Console, last: str | None = None, **query: str) -> AsyncIterator[Stream]:
    headers = {"Last-Event-ID": last} if last else {}
    async with console.http.stream("GET", WATCH, params=query, headers=headers) as response:
        assert response.status_code == 200, await response.aread()
        yield Stream(aiter(response.aiter_lines()))


def named(name: str, namespace: str = "default", **spec: Any) -> Object:
    body = instance()
    return body | {"metadata": {"name": name, "namespace": namespace}, "spec": body["spec"] | spec}


class TestTheStream:
    async def test_each_kind_is_told_with_what_its_list_has(self, fed: Console) -> None:
        async with watched(fed) as stream:
            assert (await stream.next())[0] == "synced"
            assert 1000 <= stream.retry <= 5000
            fed.kubernetes.put(named("new"))
            event, data, _ = await stream.next()
            assert (event, data["kind"], data["name"]) == ("changed", "instances", "new")
            assert data["object"] == (await fed.request("GET", "/api/v1/instances/new")).json()
            fed.kubernetes.put(run("r", phase="Succeeded"))
            event, data, _ = await stream.next()
            assert (event, data["kind"], data["object"]["phase"]) == ("changed", "runs", "Succeeded")
            assert "result" not in str(data)
            pack: Object = {
                "kind": "SkillPack",
                "apiVersion": "sympozium.ai/v1alpha1",
                "metadata": {"name": "p"},
                "spec": {},
            }
            fed.kubernetes.put(pack)
            assert (await stream.next())[1]["object"]["parameters"] == []
            fed.kubernetes.remove(RUNS, "r")
            fed.kubernetes.remove(INSTANCES, "new")
            gone = [(await stream.next())[:2] for _ in range(2)]
            assert [(event, data["kind"], data["name"]) for event, data in gone] == [
                ("deleted", "runs", "r"),
                ("deleted", "instances", "new"),
            ]

    async def test_filters_hold(self, fed: Console) -> None:
        async with watched(fed, kinds="runs", namespace="team", instance="demo") as stream:
            await stream.next()
            fed.kubernetes.put(named("new", "team"))
            fed.kubernetes.put(run("elsewhere"))
            fed.kubernetes.put(run("another", namespace="team", instance="other"))
            fed.kubernetes.put(run("wanted", namespace="team"))
            assert (await stream.next())[1]["name"] == "wanted"

    async def test_a_stream_continues_where_it_broke_off(self, fed: Console) -> None:
        async with watched(fed) as stream:
            await stream.next()
            fed.kubernetes.put(named("first"))
            _, _, last = await stream.next()
        fed.kubernetes.put(named("second"))
        fed.kubernetes.put(named("third"))
        async with watched(fed, last) as stream:
            events = [await stream.next() for _ in range(3)]
        assert [(event, data.get("name")) for event, data, _ in events] == [
            ("changed", "second"),
            ("changed", "third"),
            ("synced", None),
        ]

    @pytest.mark.parametrize("last", ["elsewhere-7", "nonsense", "-", "00000000-99999999999999999999"])
    async def test_a_stream_that_cannot_be_continued_is_reset(self, fed: Console, last: str) -> None:
        async with watched(fed, last, kinds="runs") as stream:
            assert [(await stream.next())[:2] for _ in range(2)] == [
                ("reset", {"kinds": ["runs"]}),
                ("synced", {"kinds": ["runs"]}),
            ]

    async def test_a_gap_in_the_watch_of_runs_is_a_reset_and_in_another_one_its_changes(self, fed: Console) -> None:
        async with watched(fed) as stream:
            await stream.next()
            fed.kubernetes.expire_watches()
            fed.kubernetes.remove(INSTANCES, "demo")
            events = [(await stream.next())[:2] for _ in range(2)]
        assert {(event, data["kind"]) for event, data in events} == {("reset", "runs"), ("deleted", "instances")}

    async def test_all_streams_share_one_watch_per_kind(self, fed: Console) -> None:
        async with contextlib.AsyncExitStack() as stack:
            streams = [await stack.enter_async_context(watched(fed)) for _ in range(50)]
            for stream in streams:
                await stream.next()
            fed.kubernetes.put(named("new"))
            assert {(await stream.next())[1]["name"] for stream in streams} == {"new"}
            assert [fed.kubernetes.watches_open(kind) for kind in (INSTANCES, RUNS, SKILL_PACKS, CONFIGS)] == [1] * 4

    async def test_a_stream_ends_when_the_console_drains(self, fed: Console) -> None:
        async with watched(fed) as stream:
            await stream.next()
            fed.context.draining.set()
            assert await stream.has_ended()

    async def test_streams_beyond_the_bound_are_refused(self, fed: Console, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(feeds, "_MOST_STREAMS", 1)
        async with watched(fed) as stream:
            await stream.next()
            refused = await fed.http.get(WATCH)
            assert error(refused, 503)["reason"] == "TooManyStreams"
            assert 1 <= int(refused.headers["retry-after"]) <= 10
        await eventually(lambda: fed.context.metrics.change_streams._value.get() == 0)

    async def test_no_caller_takes_the_streams_of_others(self, fed: Console, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(feeds, "_MOST_OF_CALLER", 1)
        (fed.tokens / "token-b").write_text("another")
        fed.clock.advance(2)
        async with watched(fed) as stream:
            await stream.next()
            refused = await fed.http.get(WATCH)
            assert error(refused, 429)["reason"] == "TooManyRequests"
            assert 1 <= int(refused.headers["retry-after"]) <= 10
            fed.http.headers["Authorization"] = "Bearer another"
            async with watched(fed) as other:
                assert (await other.next())[0] == "synced"
        await eventually(lambda: fed.context.feed._streams == {})

    async def test_a_client_that_reads_nothing_is_cut_off(self, fed: Console, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(event_streams, "_UNREAD_SECONDS", 0.2)
        reader, writer = await asyncio.open_connection("127.0.0.1", fed.http.base_url.port)
        writer.write(f"GET {WATCH} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer secret\r\n\r\n".encode())
        await reader.readuntil(b"synced")
        opened = fed.context.metrics.change_streams
        assert opened._value.get() == 1
        reader._transport.pause_reading()  # type: ignore[attr-defined] # a slow client's socket fills up
        async with asyncio.timeout(60):
            number = 0
            while opened._value.get():
                fed.kubernetes.put(named("large", memory={"systemPrompt": f"{number}" + "x" * 60_000}))
                number += 1
                await asyncio.sleep(0.02)
        writer.close()

    @pytest.mark.parametrize(
        ("query", "field"),
        [({"kinds": "pods"}, "kinds"), ({"kinds": ""}, "kinds"), ({"instance": "A"}, "instance"), ({"q": "x"}, "q")],
    )
    async def test_a_wrong_parameter_is_named(self, console: Console, query: dict[str, str], field: str) -> None:
        assert error(await console.http.get(WATCH, params=query), 400)["fields"][0]["field"] == field


class TestFilteredInstances:
    @pytest.fixture
    async def several(self, fed: Console) -> Console:
        fed.kubernetes.put(named("sales", title="Verkäufe") | {"status": {"phase": "Serving"}})
        fed.kubernetes.put(named("triage", "team", skills=[]) | {"status": {"phase": "Error"}})
        await eventually(lambda: len(fed.context.feed.instances._instances) == 3)
        return fed

    @pytest.mark.parametrize(
        ("query", "expected"),
        [
            ({"phase": "Error"}, ["triage"]),
            ({"q": "verkÄ"}, ["sales"]),
            ({"q": "e"}, ["demo", "sales", "triage"]),
            ({"webEndpoint": "off"}, ["triage"]),
            ({"webEndpoint": "on", "phase": "Serving"}, ["sales"]),
            ({"webEndpoint": "on", "namespace": "team"}, []),
        ],
    )
    async def test_lists_are_filtered(self, several: Console, query: dict[str, str], expected: list[str]) -> None:
        answer = await several.http.get("/api/v1/instances", params=query)
        assert answer.status_code == 200, answer.text
        assert sorted(item["metadata"]["name"] for item in answer.json()["items"]) == expected

    async def test_pages_have_every_instance_once_in_the_order_of_the_plain_list(self, several: Console) -> None:
        plain = (await several.http.get("/api/v1/instances")).json()
        items, query = [], {"q": "e", "limit": "1"}
        while True:
            page = (await several.http.get("/api/v1/instances", params=query)).json()
            items += page["items"]
            if "continue" not in page["metadata"]:
                break
            assert page["metadata"]["remainingItemCount"] == 3 - len(items)
            query["continue"] = page["metadata"]["continue"]
        assert items == plain["items"]

    @pytest.mark.parametrize(
        ("query", "field"),
        [
            ({"phase": "Up"}, "phase"),
            ({"webEndpoint": "true"}, "webEndpoint"),
            ({"q": ""}, "q"),
            ({"q": "x", "continue": "nonsense"}, "continue"),
        ],
    )
    async def test_a_wrong_parameter_is_named(self, console: Console, query: dict[str, str], field: str) -> None:
        refused = error(await console.http.get("/api/v1/instances", params=query), 400)
        assert refused["fields"][0]["field"] == field

    async def test_before_the_first_list_the_answer_is_a_retry(self, console: Console) -> None:
        console.kubernetes.refuse("list", INSTANCES, ApiUnavailable("away"))
        refused = await console.http.get("/api/v1/instances?phase=Error")
        assert (error(refused, 503)["reason"], refused.headers["retry-after"]) == ("Reading", "1")


def test_a_ring_is_bounded_in_number_and_in_bytes() -> None:
    ring = ChangeRing(most_changes=3, most_bytes=2000)
    for number in range(5):
        ring.publish("changed", "runs", {"name": str(number)}, namespace="a")
    assert (ring.begin, ring.end, ring.since(1)) == (2, 5, None)
    ring.publish("changed", "runs", {"name": "x" * 1900}, namespace="a")
    changes = ring.since(ring.begin)
    assert changes is not None
    assert len(changes) == 1
    assert ring.position_of(ring.id_of(4)) is None
    assert ring.position_of(ring.id_of(6)) == 6
