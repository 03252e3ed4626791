"""Keys of the cluster with which pods' tokens are verified: when they are fetched, and how long they are trusted."""

import time

import jwt
import pytest
from tests.fakes.clock import FakeClock
from tests.fakes.kubernetes import FakeKubernetes
from tests.fakes.pod import TokenIssuer

from sympozium_runs.cluster_tokens import Forbidden, Unverified
from sympozium_runs.pod_identity import PodTokens


class World:
    def __init__(self) -> None:
        self.kubernetes = FakeKubernetes()
        self.issuer = TokenIssuer(self.kubernetes)
        self.clock = FakeClock()
        self.tokens = PodTokens(self.kubernetes, clock=self.clock.monotonic)

    def token(self) -> str:
        return self.issuer.token("pod", "demo-agent")

    async def accepts(self, token: str) -> bool:
        return (await self.tokens.pod(token)).name == "pod"


@pytest.fixture
def world() -> World:
    return World()


async def test_a_key_that_is_newer_than_the_last_fetch_is_not_refused_for_good(world: World) -> None:
    assert await world.accepts(world.token())
    world.issuer.rotate("k2")
    world.clock.advance(1)
    with pytest.raises(Unverified):
        await world.tokens.pod(world.token())
    world.clock.advance(9)
    assert await world.accepts(world.token())


async def test_a_key_that_a_fresh_fetch_does_not_have_is_refused(world: World) -> None:
    unknown = TokenIssuer(FakeKubernetes())
    unknown.rotate("k2")
    with pytest.raises(Forbidden):
        await world.tokens.pod(unknown.token("pod", "demo-agent"))


async def test_a_withdrawn_key_is_refused_after_twenty_minutes_without_a_token(world: World) -> None:
    withdrawn = world.token()
    assert await world.accepts(withdrawn)
    world.issuer.rotate("k2")
    world.clock.advance(20 * 60)
    with pytest.raises(Forbidden):
        await world.tokens.pod(withdrawn)


async def test_known_keys_outlast_an_api_server_that_is_away(world: World) -> None:
    token = world.token()
    assert await world.accepts(token)
    del world.kubernetes.documents["/openid/v1/jwks"]
    world.clock.advance(23 * 3600)
    assert await world.accepts(token)
    world.clock.advance(3600)
    with pytest.raises(Unverified):
        await world.tokens.pod(token)


async def test_the_token_of_a_pod_is_verified_once(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    token = world.token()
    assert await world.accepts(token)
    monkeypatch.setattr(jwt, "decode", None)
    assert await world.accepts(token)


async def test_a_token_that_was_verified_is_refused_once_it_has_expired(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = world.token()
    assert await world.accepts(token)
    expires = jwt.decode(token, options={"verify_signature": False})["exp"]
    monkeypatch.setattr(time, "time", lambda: float(expires))
    monkeypatch.setattr(jwt, "decode", _expired)
    with pytest.raises(Forbidden, match="expired"):
        await world.tokens.pod(token)


def _expired(*_: object, **__: object) -> None:
    raise jwt.ExpiredSignatureError("Signature has expired")
