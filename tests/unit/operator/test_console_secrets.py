"""The console's Secrets: generated once, whoever renders the chart, however often."""

import base64

import pytest
from tests.unit.operator.objects import SYSTEM
from tests.unit.operator.operator_world import World

from sympozium_api.resources import SECRETS

TOKEN = "sympozium-console-token"
KEYS = "sympozium-console-keys"
PLATFORM = "sympozium-platform"
NAMES = {
    "SYMPOZIUM_CONSOLE_TOKEN_SECRET": TOKEN,
    "SYMPOZIUM_CONSOLE_KEYS_SECRET": KEYS,
    "SYMPOZIUM_PLATFORM_SECRET": PLATFORM,
}


def entries(world: World, secret: str) -> dict[str, bytes]:
    data = world.cluster.object(SECRETS, secret, SYSTEM)["data"]
    return {name: base64.b64decode(value) for name, value in data.items()}


async def test_missing_secrets_are_generated_and_stay() -> None:
    world = World(**NAMES)
    await world.operator.console_secrets.keep()
    first = entries(world, TOKEN), entries(world, KEYS), entries(world, PLATFORM)
    assert len(first[0]["token"]) == 48
    writes = len(world.cluster.writes)
    await world.operator.console_secrets.keep()
    assert (entries(world, TOKEN), entries(world, KEYS), entries(world, PLATFORM)) == first
    assert len(world.cluster.writes) == writes


async def test_the_keys_are_a_pepper_and_two_different_cookie_keys_of_32_bytes() -> None:
    world = World(**NAMES)
    await world.operator.console_secrets.keep()
    keys = entries(world, KEYS)
    assert sorted(keys) == ["API_KEY_PEPPER", "COOKIE_KEY_1", "COOKIE_KEY_2"]
    assert len(bytes.fromhex(keys["API_KEY_PEPPER"].decode())) == 32
    cookie_keys = {base64.urlsafe_b64decode(keys[f"COOKIE_KEY_{number}"]) for number in (1, 2)}
    assert [len(key) for key in cookie_keys] == [32, 32]


async def test_the_secret_of_the_platforms_tokens_has_32_bytes() -> None:
    world = World(**NAMES)
    await world.operator.console_secrets.keep()
    [(name, value)] = entries(world, PLATFORM).items()
    assert (name, len(bytes.fromhex(value.decode()))) == ("JWT_SECRET", 32)


@pytest.mark.parametrize("secret", [TOKEN, KEYS, PLATFORM])
async def test_another_installation_has_others(secret: str) -> None:
    worlds = [World(**NAMES), World(**NAMES)]
    for world in worlds:
        await world.operator.console_secrets.keep()
    assert not set(entries(worlds[0], secret).values()) & set(entries(worlds[1], secret).values())


@pytest.mark.parametrize("secret", [TOKEN, KEYS, PLATFORM])
async def test_a_secret_of_somebody_else_is_left_as_it_is(secret: str) -> None:
    world = World(**NAMES)
    about = {"name": secret, "namespace": SYSTEM}
    data = {"token": base64.b64encode(b"mine").decode()}
    world.cluster.put({"apiVersion": "v1", "kind": "Secret", "metadata": about, "data": data})
    await world.operator.console_secrets.keep()
    assert entries(world, secret) == {"token": b"mine"}


async def test_one_missing_secret_is_generated_beside_the_other() -> None:
    world = World(SYMPOZIUM_CONSOLE_KEYS_SECRET=KEYS)
    await world.operator.console_secrets.keep()
    assert len(world.cluster.writes) == 1
    assert entries(world, KEYS)


async def test_without_names_nothing_is_generated() -> None:
    world = World()
    await world.operator.console_secrets.keep()
    assert world.cluster.writes == []
