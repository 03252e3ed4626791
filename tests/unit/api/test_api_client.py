"""The Kubernetes client: what answers mean, and how a watch survives what API servers do."""

import asyncio
import json
import math
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from importlib import import_module

import pytest
from structlog.testing import capture_logs
from tests.fakes.kubernetes import FakeKubernetes, api_error
from tests.fakes.open_watches import WatchResponse
from tests.fakes.unwatchable import UnwatchableKinds

from sympozium_api.client import ApiError, ApiUnavailable, Change, Snapshot, watch, whole
from sympozium_api.client.collection import Collection
from sympozium_api.client.responses import parse_response
from sympozium_api.resources import JOBS, LEASES, PODS, Object


def test_a_resource_type_builds_the_paths_of_its_objects() -> None:
    assert PODS.path("ns", "p") == "/api/v1/namespaces/ns/pods/p"
    assert JOBS.path(None) == "/apis/batch/v1/jobs"
    assert JOBS.path("ns", "j", "status") == "/apis/batch/v1/namespaces/ns/jobs/j/status"
    assert LEASES.api_version == "coordination.k8s.io/v1"


@pytest.mark.parametrize(
    ("name", "written"),
    [
        ("?limit=9", "%3Flimit%3D9"),
        ("../pods", "..%2Fpods"),
        ("..", "%2E%2E"),
        (".", "%2E"),
        ("a#b%2F", "a%23b%252F"),
        ("a:b.c", "a:b.c"),
    ],
)
def test_a_name_is_one_part_of_a_path_whatever_is_in_it(name: str, written: str) -> None:
    assert PODS.path("ns", name) == f"/api/v1/namespaces/ns/pods/{written}"
    assert PODS.path(name) == f"/api/v1/namespaces/{written}/pods"


@pytest.mark.parametrize("status", [401, 429, 500, 503, 504])
def test_a_server_that_cannot_answer_now_is_unavailable(status: int) -> None:
    with pytest.raises(ApiUnavailable, match="later"):
        parse_response(status, json.dumps({"message": "later"}).encode())


@pytest.mark.parametrize("content", [b"<html>", b"", b"[1]", b'"x"'])
def test_a_refusal_that_is_no_status_object_is_an_api_error(content: bytes) -> None:
    with pytest.raises(ApiError) as raised:
        parse_response(403, content)
    assert raised.value.status == 403


def job(name: str) -> Object:
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": name, "namespace": "default"}}


async def test_a_watch_begins_with_a_snapshot_and_continues_when_the_server_ends_it() -> None:
    kubernetes = FakeKubernetes()
    kubernetes.put(job("a"))
    events = watch(kubernetes, JOBS, "default")
    first = await anext(events)
    assert isinstance(first, Snapshot)
    assert [item["metadata"]["name"] for item in first.items] == ["a"]

    coming = asyncio.ensure_future(anext(events))
    await asyncio.sleep(0)
    kubernetes.put(job("b"))
    change = await coming
    assert isinstance(change, Change)
    assert (change.object["metadata"]["name"], change.deleted) == ("b", False)

    coming = asyncio.ensure_future(anext(events))
    await asyncio.sleep(0)
    kubernetes.end_watches()
    await asyncio.sleep(0)
    kubernetes.remove(JOBS, "b")
    change = await coming
    assert isinstance(change, Change)
    assert (change.object["metadata"]["name"], change.deleted) == ("b", True)
    await events.aclose()


async def test_a_watch_lists_again_after_a_failure() -> None:
    kubernetes = FakeKubernetes()
    kubernetes.refuse("list", JOBS, ApiUnavailable("away"), ApiUnavailable("away"))
    events = watch(kubernetes, JOBS, "default")
    assert isinstance(await anext(events), Snapshot)
    await events.aclose()


class BreakingWatches(FakeKubernetes):
    """Watches that break off at once, in one of three ways."""

    def __init__(self, how: str) -> None:
        super().__init__()
        self.how = how
        self.versions: list[str] = []

    @asynccontextmanager
    async def stream(
        self, path: str, params: Mapping[str, str], *, silence: float, accept: str = ""
    ) -> AsyncIterator[WatchResponse]:
        self.versions.append(params["resourceVersion"])
        async with super().stream(path, params, silence=silence, accept=accept) as response:
            if self.how == "403":
                response.status = 403
            elif self.how == "expired":
                response.lines.put_nowait(b'{"type": "ERROR", "object": {"code": 410}}\n')
            elif self.how == "nonsense":
                response.lines.put_nowait(b"<html>\n")
            response.lines.put_nowait(None)
            yield response


@pytest.mark.parametrize("how", ["ends", "403", "nonsense", "expired"])
async def test_a_watch_that_breaks_off_at_once_is_resumed_with_growing_pauses(
    how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    kubernetes, pauses, sleep = BreakingWatches(how), list[float](), asyncio.sleep

    async def passes(seconds: float) -> None:
        pauses.append(seconds)
        await sleep(0)

    monkeypatch.setattr(asyncio, "sleep", passes)
    events = watch(kubernetes, JOBS, "default")
    assert isinstance(await anext(events), Snapshot)
    waiting = asyncio.ensure_future(anext(events))
    while len(pauses) < 4 and not waiting.done():
        await sleep(0)
    if how == "expired":
        assert isinstance(await waiting, Snapshot)  # the version is forgotten, so the collection is listed again
    else:
        assert kubernetes.reads == [("list", "jobs", "")]
        assert len(set(kubernetes.versions)) == 1
        assert sum(pauses[:4]) >= 0.5 * (0.1 + 0.2 + 0.4 + 0.8)
        waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    await events.aclose()


@pytest.mark.usefixtures("_quick")
async def test_a_watch_that_ends_at_once_each_time_gives_up_if_it_is_told_to() -> None:
    """So that it counts as a watch that fails: it shows nothing."""
    kubernetes = BreakingWatches("ends")
    kubernetes.documents["/version"] = {}
    events = watch(kubernetes, JOBS, "default", whole, 1.0)

    async def drain() -> None:
        async for event in events:
            assert isinstance(event, Snapshot)

    with capture_logs() as logs, pytest.raises(ApiUnavailable, match="ends at once"):
        await asyncio.wait_for(drain(), 60)
    assert {line["reason"] for line in logs} == {"ApiUnavailable"}


async def test_a_watch_from_a_version_that_never_works_lists_again() -> None:
    """For instance after etcd was restored from a backup: the version lies in the future."""
    kubernetes = BreakingWatches("403")
    with pytest.MonkeyPatch.context() as patch:
        sleep = asyncio.sleep
        patch.setattr(asyncio, "sleep", lambda _: sleep(0))
        events = watch(kubernetes, JOBS, "default")
        assert isinstance(await anext(events), Snapshot)
        assert isinstance(await anext(events), Snapshot)
        await events.aclose()
    assert len(kubernetes.versions) > 3


async def test_large_objects_are_listed_few_at_a_time_and_reduced_at_once() -> None:
    kubernetes = FakeKubernetes()
    for number in range(12):
        kubernetes.put(job(f"j{number:02}") | {"spec": {"template": "x" * 1_000_000}})
    events = watch(kubernetes, JOBS, "default", lambda body: {"metadata": body["metadata"]})
    snapshot = await anext(events)
    await events.aclose()
    assert isinstance(snapshot, Snapshot)
    assert [item["metadata"]["name"] for item in snapshot.items] == [f"j{number:02}" for number in range(12)]
    assert all(item.keys() == {"metadata"} for item in snapshot.items)


class RefusedWatches(FakeKubernetes):
    """Lists and watches that are refused, by an API server that answers or does not."""

    def __init__(self, failure: Exception, *, answers: bool) -> None:
        super().__init__()
        self.failure, self.attempts = failure, 0
        if answers:
            self.documents["/version"] = {}

    async def collection(self, *_: object, **__: object) -> Collection:
        self.attempts += 1
        raise self.failure


@pytest.fixture
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(import_module("sympozium_api.client.watch"), "_LONGEST_PAUSE", 0.01)


FORBIDDEN = api_error(403, "Forbidden", "may not list")


@pytest.mark.usefixtures("_quick")
@pytest.mark.parametrize(
    "failure", [FORBIDDEN, api_error(404, "NotFound"), ApiUnavailable("429"), ValueError("<html>")]
)
async def test_a_watch_that_is_refused_gives_up_with_the_refusal_if_it_is_told_to(failure: Exception) -> None:
    kubernetes = RefusedWatches(failure, answers=True)
    with pytest.raises(type(failure)):
        await asyncio.wait_for(anext(watch(kubernetes, JOBS, "default", whole, 0.5)), 60)
    assert kubernetes.attempts > 2


@pytest.mark.usefixtures("_quick")
@pytest.mark.parametrize(
    ("failure", "answers", "give_up_seconds"), [(FORBIDDEN, True, math.inf), (ApiUnavailable("away"), False, 0.05)]
)
async def test_a_watch_survives_an_outage_and_refusals_unless_it_is_told_to_give_up(
    failure: Exception, answers: bool, give_up_seconds: float
) -> None:
    kubernetes = RefusedWatches(failure, answers=answers)
    waiting = asyncio.ensure_future(anext(watch(kubernetes, JOBS, "default", whole, give_up_seconds)))
    await asyncio.sleep(0.3)
    async with asyncio.timeout(60):
        while kubernetes.attempts <= 5:
            assert not waiting.done()
            await asyncio.sleep(0.01)
    assert not waiting.done()
    waiting.cancel()


@pytest.mark.usefixtures("_quick")
@pytest.mark.parametrize(("failure", "is_logged"), [(FORBIDDEN, True), (api_error(404, "NotFound"), False)])
async def test_a_watch_that_keeps_failing_is_logged_unless_its_kind_is_not_installed(
    failure: Exception, is_logged: bool
) -> None:
    kubernetes = RefusedWatches(failure, answers=True)
    with capture_logs() as logs:
        waiting = asyncio.ensure_future(anext(watch(kubernetes, JOBS, "default")))
        while kubernetes.attempts < 15:
            await asyncio.sleep(0.01)
    assert [entry["kind"] for entry in logs] == ["Job"] * (2 * is_logged)
    waiting.cancel()


@pytest.mark.usefixtures("_quick")
async def test_a_watch_that_is_refused_while_lists_are_allowed_gives_up_too() -> None:
    kubernetes = UnwatchableKinds()
    kubernetes.documents["/version"] = {}

    async def follow() -> None:
        async for event in watch(kubernetes, JOBS, "default", whole, 0.2):
            assert isinstance(event, Snapshot)

    with pytest.raises(ApiError, match="may not watch"):
        await asyncio.wait_for(follow(), 60)


class QuietWatches(FakeKubernetes):
    """Watches without events that break off after a while."""

    opened = 0

    @asynccontextmanager
    async def stream(
        self, path: str, params: Mapping[str, str], *, silence: float, accept: str = ""
    ) -> AsyncIterator[WatchResponse]:
        self.opened += 1
        async with super().stream(path, params, silence=silence, accept=accept) as response:
            asyncio.get_running_loop().call_later(0.1, response.lines.put_nowait, b"<html>\n")
            yield response


@pytest.mark.usefixtures("_quick")
async def test_a_watch_that_is_resumed_each_time_it_breaks_off_does_not_give_up() -> None:
    kubernetes = QuietWatches()
    kubernetes.documents["/version"] = {}
    events = watch(kubernetes, JOBS, "default", whole, 0.05)
    assert isinstance(await anext(events), Snapshot)
    waiting = asyncio.ensure_future(anext(events))
    async with asyncio.timeout(60):
        while kubernetes.opened < 4:
            await asyncio.sleep(0.01)
    assert not waiting.done()
    waiting.cancel()


@pytest.mark.parametrize(
    ("sent", "shown"),
    [
        (
            'SympoziumInstance.sympozium.ai "x" is invalid: <nil>: Invalid value: "object": metadata.name must be short',
            'SympoziumInstance.sympozium.ai "x" is invalid: metadata.name must be short',
        ),
        (
            'spec.skills[0]: Invalid value: "object": exactly one of skillPackRef and configMapRef is needed',
            "spec.skills[0]: exactly one of skillPackRef and configMapRef is needed",
        ),
        (
            'spec.agents.default.runTimeout: Invalid value: "string": write hours, minutes and seconds, such as 5m',
            "spec.agents.default.runTimeout: write hours, minutes and seconds, such as 5m",
        ),
        ("", "HTTP 422"),
    ],
)
def test_the_message_of_a_rule_begins_with_our_words(sent: str, shown: str) -> None:
    assert ApiError(422, {"message": sent}).message == shown
