"""Credentials that callers of the console have sent go once no object has named them for ten minutes, and never before."""

import pytest
from tests.fakes.kubernetes import api_error
from tests.unit.operator.objects import NAMESPACE, SYSTEM, instance_object, metadata
from tests.unit.operator.operator_world import World

from sympozium_api import credentials, names
from sympozium_api.generate.crds import KINDS, definition
from sympozium_api.names import API_VERSION
from sympozium_api.resources import CONFIG_MAPS, INSTANCES, SECRETS, TOOLS, Object
from sympozium_operator.reconcile.unnamed_credentials import NAMING_KINDS

MINUTES = 60.0


async def sent(world: World, namespace: str = NAMESPACE) -> str:
    """Credentials as the console stores them; their name."""
    owner = await world.cluster.create(
        CONFIG_MAPS, namespace, credentials.owner(namespace, credentials.new_name()), metadata_only=True
    )
    secret = credentials.secret(owner, {"api-key": b"k"}, for_tools=True)
    await world.cluster.create(SECRETS, namespace, secret, metadata_only=True)
    name: str = owner["metadata"]["name"]
    return name


def tool(secret: str) -> Object:
    webhook = {"url": "https://example.com", "auth": "apiKey", "secretRef": secret}
    spec = {"title": "a", "function": "a", "webhook": webhook}
    return {"apiVersion": API_VERSION, "kind": "Tool", "metadata": metadata("a"), "spec": spec}


async def passes(world: World, minutes: int) -> None:
    """The operator checks once a minute."""
    for _ in range(minutes):
        await world.operator.credentials.remove()
        world.clock.advance(MINUTES)
    await world.operator.credentials.remove()


def exists(world: World, name: str, namespace: str = NAMESPACE) -> bool:
    return (SECRETS.plural, namespace, name) in world.cluster.objects


async def test_what_no_object_names_goes_after_ten_minutes() -> None:
    world = World()
    name = await sent(world)
    await passes(world, 9)
    assert exists(world, name)
    await passes(world, 1)
    assert not exists(world, name)


async def test_what_a_tool_names_stays_until_ten_minutes_after_it_does_not_any_more() -> None:
    world = World()
    name = await sent(world)
    await passes(world, 5)
    world.cluster.put(tool(name))
    await passes(world, 30)
    assert exists(world, name)
    world.cluster.put(tool("another"))
    await passes(world, 9)
    assert exists(world, name)
    await passes(world, 1)
    assert not exists(world, name)


async def test_a_name_anywhere_in_a_spec_counts_and_one_elsewhere_does_not() -> None:
    world = World()
    field, param, annotation = [await sent(world) for _ in range(3)]
    skills = [{"skillPackRef": "web-endpoint", "params": {"auth_secret_ref": param}}]
    body = instance_object(authRefs=[{"provider": "openai", "secret": field}], skills=skills)
    body["metadata"]["annotations"] = {"kubectl.kubernetes.io/last-applied-configuration": annotation}
    world.cluster.put(body)
    await passes(world, 10)
    assert [exists(world, name) for name in (field, param, annotation)] == [True, True, False]


async def test_an_object_of_another_namespace_names_nothing() -> None:
    world = World()
    name = await sent(world, SYSTEM)
    world.cluster.put(tool(name))
    await passes(world, 10)
    assert not exists(world, name, SYSTEM)


async def test_nothing_goes_while_objects_cannot_be_read(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World()
    name, elsewhere = await sent(world), await sent(world, SYSTEM)
    listing = world.cluster.list

    async def forbidden(kind: object, namespace: str | None, **selectors: str) -> list[Object]:
        if kind is TOOLS and namespace == NAMESPACE:
            raise api_error(403, "Forbidden")
        return await listing(kind, namespace, **selectors)  # type: ignore[arg-type]

    monkeypatch.setattr(world.cluster, "list", forbidden)
    await passes(world, 20)
    assert exists(world, name)
    assert not exists(world, elsewhere, SYSTEM)


async def test_a_new_leader_waits_ten_minutes_of_its_own() -> None:
    world = World()
    name = await sent(world)
    await passes(world, 9)
    world.restart()
    await passes(world, 9)
    assert exists(world, name)


async def test_only_names_of_the_consoles_own_are_removed() -> None:
    world = World()
    labels = {names.LABEL_CREDENTIALS: "true"}
    head = {"apiVersion": "v1", "kind": "ConfigMap"}
    world.cluster.put(head | {"metadata": {"name": "settings", "namespace": NAMESPACE, "labels": labels}})
    await passes(world, 20)
    assert world.cluster.object(CONFIG_MAPS, "settings", NAMESPACE)


async def test_secrets_are_neither_listed_nor_read_nor_deleted() -> None:
    """So the operator needs no right for it that it did not have."""
    world = World()
    await sent(world)
    world.cluster.writes.clear()
    await passes(world, 10)
    assert [write[:2] for write in world.cluster.writes] == [("delete", "configmaps")]
    assert not [read for read in world.cluster.reads if read[1] == SECRETS.plural]


def test_every_kind_that_names_secrets_is_looked_through() -> None:
    naming = {kind.model.__name__ for kind in KINDS if "ecret" in str(definition(kind)["spec"])}
    assert {kind.kind for kind in NAMING_KINDS} >= naming - {"AgentRun"}
    assert INSTANCES in NAMING_KINDS
