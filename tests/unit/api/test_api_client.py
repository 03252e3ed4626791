"""The Kubernetes client: what answers mean, and how a watch survives what API servers do."""

import asyncio
import json

import pytest
from tests.fakes.kubernetes import FakeKubernetes

from sympozium_api.client import ApiError, ApiUnavailable, Change, Snapshot, watch
from sympozium_api.client.rest import parse_response
from sympozium_api.resources import JOBS, LEASES, PODS, Object


def test_a_resource_type_builds_the_paths_of_its_objects() -> None:
    assert PODS.path("ns", "p") == "/api/v1/namespaces/ns/pods/p"
    assert JOBS.path(None) == "/apis/batch/v1/jobs"
    assert JOBS.path("ns", "j", "status") == "/apis/batch/v1/namespaces/ns/jobs/j/status"
    assert LEASES.api_version == "coordination.k8s.io/v1"


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
