"""Objects that a request creates at most once under its Idempotency-Key."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from tests.fakes.kubernetes import FakeKubernetes

from sympozium_api import names
from sympozium_api.client import ApiError
from sympozium_api.resources import INSTANCES, Object
from sympozium_domain import object_times
from sympozium_domain.idempotent_creation import Creation, KeyOfAnotherBody

NOW = datetime(2026, 3, 1, 12, 0, 0, 123456, tzinfo=UTC)


def creation(body: Any, **others: str | None) -> Creation:
    values: dict[str, Any] = {"tenant": "t1", "caller": "key/1", "route": "agents", "idempotency_key": "k"}
    return Creation.of(body=body, **values | others)


def manifest(wanted: Creation, title: str) -> Object:
    spec = {"title": title, "agents": {"default": {"model": "m"}}}
    metadata = wanted.metadata(wanted.name("agent"), "ada", NOW)
    return {"apiVersion": names.API_VERSION, "kind": "SympoziumInstance", "metadata": metadata, "spec": spec}


async def test_the_same_request_makes_one_object() -> None:
    kubernetes = FakeKubernetes()
    first, again = creation({"a": 1, "b": [2]}), creation({"b": [2], "a": 1})
    made, is_new = await first.create(kubernetes, INSTANCES, "team", manifest(first, "A"))
    found, is_newer = await again.create(kubernetes, INSTANCES, "team", manifest(again, "A"))
    assert (is_new, is_newer) == (True, False)
    assert found == made
    assert made["metadata"]["labels"] == {"sympozium.ai/id": first.id}
    assert made["metadata"]["annotations"]["sympozium.ai/owner"] == "ada"


async def test_another_body_is_refused() -> None:
    kubernetes = FakeKubernetes()
    first, other = creation({"a": 1}), creation({"a": 2})
    await first.create(kubernetes, INSTANCES, "team", manifest(first, "A"))
    with pytest.raises(KeyOfAnotherBody):
        await other.create(kubernetes, INSTANCES, "team", manifest(other, "B"))


async def test_without_a_key_each_request_makes_an_object() -> None:
    kubernetes = FakeKubernetes()
    for _ in range(2):
        wanted = creation({"a": 1}, idempotency_key=None)
        await wanted.create(kubernetes, INSTANCES, "team", manifest(wanted, "A"))
    assert len(kubernetes.names(INSTANCES)) == 2


@pytest.mark.parametrize("other", ["tenant", "caller", "route", "idempotency_key"])
def test_a_key_belongs_to_its_tenant_caller_and_route(other: str) -> None:
    assert creation({}, **{other: "x"}).id != creation({}).id == creation({}).id


async def test_refusals_pass() -> None:
    kubernetes, wanted = FakeKubernetes(), creation({})
    with pytest.raises(ApiError, match="422"):
        await wanted.create(kubernetes, INSTANCES, "team", manifest(wanted, "A" * 201))


def test_times_are_those_of_the_dialect_and_else_of_kubernetes() -> None:
    plain: Object = {"metadata": {"creationTimestamp": "2026-01-01T00:00:00Z"}}
    assert object_times.created(plain) == object_times.updated(plain) == datetime(2026, 1, 1, tzinfo=UTC)
    later = NOW + timedelta(seconds=1)
    stamped: Object = {
        "metadata": plain["metadata"] | {"annotations": object_times.at_creation(NOW) | object_times.at_change(later)}
    }
    assert (object_times.created(stamped), object_times.updated(stamped)) == (NOW, later)
    foreign: Object = {"metadata": plain["metadata"] | {"annotations": {names.ANNOTATION_CREATED_AT: "2026-01-05"}}}
    assert object_times.created(foreign) == datetime(2026, 1, 1, tzinfo=UTC)
