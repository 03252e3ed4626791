"""Poll of objects that the operator may not watch: what cannot be read delays no other."""

import pytest
from tests.fakes.kubernetes import FakeKubernetes
from tests.unit.operator.objects import NAMESPACE

from sympozium_api.client import ApiUnavailable
from sympozium_api.resources import SECRETS
from sympozium_operator.reconcile.version_poll import VersionPoll
from sympozium_operator.result import Key
from sympozium_operator.scheduling.pace import Pace

KEYS = [Key("run", NAMESPACE, name) for name in ("a", "b", "c")]
FAILURE = ApiUnavailable("500 InternalError: unable to transform key")


class Poll:
    """A poll of one Secret of each key; all of them have changed."""

    def __init__(self, *, answers: bool) -> None:
        self.cluster = FakeKubernetes()
        if answers:
            self.cluster.documents["/version"] = {}
        self.unreadable: list[str] = []
        self.poll = VersionPoll(self.cluster, self.unreadable.append, Pace(1e6, now=lambda: 0, sleep=self._sleep))
        for key in KEYS:
            self.poll.remember(key, SECRETS, f"of-{key.name}", {"metadata": {"resourceVersion": "old"}})

    async def _sleep(self, seconds: float) -> None:
        """Return at once."""

    async def changed(self) -> list[str]:
        return [key.name async for key in self.poll.changed()]


async def test_a_secret_that_the_api_server_cannot_decrypt_delays_no_other() -> None:
    world = Poll(answers=True)
    world.cluster.refuse("get metadata", SECRETS, FAILURE)
    assert await world.changed() == ["b", "c"]
    assert world.unreadable == ["Secret"]
    assert await world.changed() == ["a"]


async def test_after_an_api_server_that_was_away_the_keys_that_were_not_checked_come_first() -> None:
    world = Poll(answers=False)
    world.cluster.refuse("get metadata", SECRETS, FAILURE)
    with pytest.raises(ApiUnavailable):
        await world.changed()
    assert world.unreadable == []
    assert await world.changed() == ["b", "c", "a"]
