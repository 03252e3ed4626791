"""The console's token: generated once, whoever renders the chart, however often."""

import base64

from tests.unit.operator.objects import SYSTEM
from tests.unit.operator.operator_world import World

from sympozium_api.resources import SECRETS

SECRET = "sympozium-console-token"


def installed() -> World:
    return World(SYMPOZIUM_CONSOLE_TOKEN_SECRET=SECRET)


def token(world: World) -> str:
    secret = world.cluster.object(SECRETS, SECRET, SYSTEM)
    return base64.b64decode(secret["data"]["token"]).decode()


async def test_a_missing_token_is_generated_and_stays() -> None:
    world = installed()
    await world.operator.console_token.keep()
    first = token(world)
    assert len(first) == 48
    writes = len(world.cluster.writes)
    await world.operator.console_token.keep()
    assert (token(world), len(world.cluster.writes)) == (first, writes)


async def test_another_installation_has_another_token() -> None:
    worlds = [installed(), installed()]
    for world in worlds:
        await world.operator.console_token.keep()
    assert token(worlds[0]) != token(worlds[1])


async def test_a_secret_of_somebody_else_is_left_as_it_is() -> None:
    world = installed()
    about = {"name": SECRET, "namespace": SYSTEM}
    data = {"token": base64.b64encode(b"mine").decode()}
    world.cluster.put({"apiVersion": "v1", "kind": "Secret", "metadata": about, "data": data})
    await world.operator.console_token.keep()
    assert token(world) == "mine"


async def test_without_a_name_nothing_is_generated() -> None:
    world = World()
    await world.operator.console_token.keep()
    assert world.cluster.writes == []
