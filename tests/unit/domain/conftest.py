"""Two replicas that start turns of sessions, in front of one API server."""

from collections.abc import AsyncIterator

import pytest
from tests.fakes.session_world import Replica, SlowKubernetes, put_instance


@pytest.fixture
def kubernetes() -> SlowKubernetes:
    kubernetes = SlowKubernetes()
    put_instance(kubernetes)
    return kubernetes


@pytest.fixture
async def replicas(kubernetes: SlowKubernetes) -> AsyncIterator[tuple[Replica, Replica]]:
    found = Replica(kubernetes), Replica(kubernetes)
    yield found
    for replica in found:
        await replica.die()


@pytest.fixture
async def replica(replicas: tuple[Replica, Replica]) -> Replica:
    return replicas[0]
