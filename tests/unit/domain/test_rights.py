"""Rights by RBAC: what one caller asks does not keep another one waiting."""

import asyncio

import pytest
from tests.fakes.callers import grant, namespace_object
from tests.fakes.clock import FakeClock
from tests.fakes.kubernetes import FakeKubernetes, api_error

from sympozium_api.client import ApiError
from sympozium_api.resources import LOCAL_ACCESS_REVIEWS, RUNS, Object, ResourceType
from sympozium_domain.callers.caller import Subject, kubernetes_user
from sympozium_domain.callers.namespaces import Namespaces
from sympozium_domain.callers.rights import Rights

ADA, GRACE = (kubernetes_user(Subject(name), name) for name in ("ada", "grace"))


class SlowReviews(FakeKubernetes):
    """An API server that takes a moment for each review."""

    async def create(self, kind: ResourceType, namespace: str, body: Object, **options: bool) -> Object:
        await asyncio.sleep(0.001)
        return await super().create(kind, namespace, body, **options)


def rights_in(kubernetes: FakeKubernetes, namespaces: int) -> Rights:
    for number in range(namespaces):
        kubernetes.put(namespace_object(f"team-{number:04}"))
    clock = FakeClock()
    return Rights(kubernetes, clock, Namespaces(kubernetes, clock))


async def test_a_list_of_a_thousand_namespaces_keeps_no_other_caller_waiting() -> None:
    kubernetes = SlowReviews()
    rights = rights_in(kubernetes, 1000)
    grant(kubernetes, "ada", "team-0999")
    grant(kubernetes, "grace", "team-0001")
    lists = [asyncio.create_task(rights.namespaces(ADA, "list", RUNS))]
    while not kubernetes.reviews:
        await asyncio.sleep(0)
    assert await rights.may(GRACE, "get", RUNS, "team-0001")
    assert len(kubernetes.reviews) < 50
    assert await asyncio.gather(*lists) == [("team-0999",)]


async def test_a_list_whose_rights_cannot_be_asked_for_fails_as_the_api_server_says() -> None:
    kubernetes = FakeKubernetes()
    rights = rights_in(kubernetes, 3)
    kubernetes.refuse("create", LOCAL_ACCESS_REVIEWS, *[api_error(500, "InternalError", "no")] * 3)
    with pytest.raises(ApiError):
        await rights.namespaces(ADA, "list", RUNS)
