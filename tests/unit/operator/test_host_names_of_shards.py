"""Operators of two shards that claim one host name at the same moment: at most one of them keeps it."""

import pytest
from tests.unit.operator.objects import NAMESPACE, SYSTEM
from tests.unit.operator.operator_world import Object, World
from tests.unit.operator.test_reconcile_gateway import ROUTE, gateway_is_ready, hostnames, reason
from tests.unit.operator.test_reconcile_gateway import world as world  # noqa: PLC0414 - a fixture

from sympozium_api.client import ApiUnavailable
from sympozium_api.resources import HTTP_ROUTES
from sympozium_operator.scheduling.shards import Shards

CLAIM_OF_ANOTHER: Object = {
    "apiVersion": "gateway.networking.k8s.io/v1",
    "kind": "HTTPRoute",
    "metadata": {"name": ROUTE, "namespace": "elsewhere"},
    "spec": {"parentRefs": [{"name": "sympozium", "namespace": SYSTEM}], "hostnames": ["alice.example.com"]},
}


async def about_to_claim(world: World) -> None:
    """The operator of one of two shards, whose instance has no route yet; the other one claims the name in the same moment."""
    await world.settle("alice", "instance")
    await gateway_is_ready(world)
    world.restart(shards=Shards(SYSTEM, 2, frozenset({1})))
    world.cluster.meanwhile("apply", HTTP_ROUTES, lambda: world.cluster.put(CLAIM_OF_ANOTHER))


def has_route(world: World) -> bool:
    return (HTTP_ROUTES.plural, NAMESPACE, ROUTE) in world.cluster.objects


async def test_one_that_sees_another_claim_gives_the_name_up_and_gets_it_when_it_is_free(world: World) -> None:
    await about_to_claim(world)
    await world.reconcile("alice", "instance")
    assert not has_route(world)
    assert reason(world) == "HostnameTaken"
    world.cluster.remove(HTTP_ROUTES, ROUTE, "elsewhere")
    await world.reconcile("alice", "instance")
    assert hostnames(world) == ["alice.example.com"]


@pytest.mark.parametrize("verb", ["list", "delete"])
async def test_a_claim_is_looked_at_again_where_the_first_look_or_giving_up_failed(world: World, verb: str) -> None:
    await about_to_claim(world)
    world.cluster.meanwhile(
        "apply", HTTP_ROUTES, lambda: world.cluster.refuse(verb, HTTP_ROUTES, ApiUnavailable("away"))
    )
    with pytest.raises(ApiUnavailable):
        await world.reconcile("alice", "instance")
    assert has_route(world)
    await world.reconcile("alice", "instance")
    assert not has_route(world)
    assert reason(world) == "HostnameTaken"
