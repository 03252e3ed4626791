"""The event stream of an instance."""

import asyncio

import pytest
from tests.fakes.callers import account_token, grant
from tests.integration.conftest import eventually, instance
from tests.integration.console.conftest import DEMO, Console, error
from tests.integration.console.test_callers import OWN, USER
from tests.integration.console.test_following import Stream

from sympozium_api.resources import EVENTS, INSTANCES, Object
from sympozium_console import object_watching

PATH = f"{DEMO}/events"


def about(kind: str, name: str, reason: str) -> Object:
    involved = {"involvedObject": {"kind": kind, "name": name, "namespace": "default"}}
    return {"kind": "Event", "metadata": {"name": f"{name}-{reason}"}, "reason": reason} | involved


class TestTheStream:
    async def test_has_each_status_the_events_about_the_instance_and_its_deletion(self, console: Console) -> None:
        console.kubernetes.put(about("SympoziumInstance", "demo", "Started"))
        console.kubernetes.put(about("AgentRun", "demo", "OfARun"))
        async with console.http.stream("GET", PATH) as response:
            assert response.headers["content-type"].startswith("text/event-stream")
            stream = Stream(response)
            first = [await stream.event(), await stream.event()]
            assert sorted(event[0] for event in first if event) == ["event", "status"]
            assert "OfARun" not in str(first)
            console.kubernetes.put(instance() | {"status": {"phase": "Running"}})
            assert (await stream.until("status"))["phase"] == "Running"
            console.kubernetes.put(about("SympoziumInstance", "demo", "Later"))
            assert (await stream.until("event"))["reason"] == "Later"
            await console.kubernetes.delete(INSTANCES, "default", "demo")
            assert await stream.until("deleted") == {"namespace": "default", "name": "demo"}
            assert await stream.event() is None
        await eventually(lambda: not console.kubernetes.watches_open(INSTANCES))
        await eventually(lambda: not console.kubernetes.watches_open(EVENTS))

    async def test_ends_when_the_console_stops(self, console: Console) -> None:
        async with console.http.stream("GET", PATH) as response:
            stream = Stream(response)
            await stream.until("status")
            console.context.draining.set()
            assert await stream.event() is None

    async def test_of_an_absent_instance_is_404(self, console: Console) -> None:
        error(await console.request("GET", "/api/v1/instances/absent/events"), 404)

    async def test_has_the_events_for_those_who_may_list_them_and_ends_with_the_right_to_watch(
        self, console: Console, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(object_watching, "_JUDGED_SECONDS", 0.3)
        console.kubernetes.put(instance() | {"metadata": {"name": "demo", "namespace": OWN}})
        console.kubernetes.put(
            about("SympoziumInstance", "demo", "Hidden") | {"metadata": {"name": "e", "namespace": OWN}}
        )
        grant(console.kubernetes, USER, OWN, verbs=("watch",), plurals=("sympoziuminstances",))
        headers = {"Authorization": f"Bearer {account_token(console.issuer, OWN, 'reader')}"}
        async with console.http.stream("GET", f"{PATH}?namespace={OWN}", headers=headers) as response:
            stream = Stream(response)
            await stream.until("status")
            await asyncio.sleep(0.5)
            console.kubernetes.grants.clear()
            console.clock.advance(11)
            assert await stream.event() is None
