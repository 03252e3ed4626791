"""The API server in memory (tests/fakes/kubernetes.py) and a real one answer the same requests alike."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest
from tests.e2e import api_server_reads, api_server_rules, api_server_writes  # noqa: F401 - they add their cases to CASES
from tests.e2e.api_server_cases import CASES, ApiServer, Case, refusal
from tests.e2e.conftest import Namespace, is_established, until
from tests.fakes.kubernetes import FakeKubernetes

from sympozium_api.client import Client, from_environment
from sympozium_api.generate.crds import KINDS, definition
from sympozium_api.resources import RUNS, ResourceType

COMPACTED_WITHIN = 660
"""Seconds after an API server's start: it lets etcd forget every five minutes what was there five minutes before."""


TURNS = 200
"""Turns of the event loop in which a case in memory begins its watch and makes what the watch shows."""


@dataclass(frozen=True)
class InMemory:
    client: FakeKubernetes
    namespace: str = "default"
    runs: ResourceType = RUNS

    async def expired_page(self) -> str:
        return self.client.forget()

    async def expired_version(self) -> str:
        return self.client.forget()

    @asynccontextmanager
    async def ends_watches(self) -> AsyncIterator[dict[str, str]]:
        ending = asyncio.create_task(self._end_watches())
        yield {}
        await ending

    async def _end_watches(self) -> None:
        """End the watches once all that goes without waiting has been done, however long the processor is with others."""
        for _ in range(TURNS):
            await asyncio.sleep(0.001)
        self.client.end_watches()


@dataclass(frozen=True)
class Real:
    """The cluster's API server."""

    client: Client
    namespace: str
    runs: ResourceType

    async def expired_page(self) -> str:
        """Return a page of the very first version, as soon as etcd has compacted that."""
        place = {"v": "meta.k8s.io/v1", "rv": 1, "start": "a\u0000"}
        token = base64.urlsafe_b64encode(json.dumps(place).encode()).decode().rstrip("=")
        async with asyncio.timeout(COMPACTED_WITHIN):
            while await refusal(self.client.page(self.runs, self.namespace, limit=1, after=token)) is None:
                await asyncio.sleep(1)
        return token

    async def expired_version(self) -> str:
        await self.expired_page()
        return "1"

    @asynccontextmanager
    async def ends_watches(self) -> AsyncIterator[dict[str, str]]:
        """The API server sends a bookmark shortly before the time of a watch is up."""
        yield {"timeoutSeconds": "24"}


@pytest.fixture(scope="module")
def kind() -> Iterator[ResourceType]:
    """A kind of the cluster with AgentRun's schema and another name, so that the operator does not touch its objects."""
    found = ResourceType("conformance.example.test", "v1alpha1", "probes", "Probe")
    [runs] = [known for known in KINDS if known.plural == RUNS.plural]
    crd = definition(runs)
    name = f"{found.plural}.{found.group}"
    crd["metadata"] = {"name": name}
    crd["spec"] |= {"group": found.group, "names": {"plural": found.plural, "singular": "probe", "kind": found.kind}}
    cluster = Namespace("default")
    cluster.apply(crd)
    until(lambda: is_established(cluster, name), within=30)
    yield found
    cluster.delete("crd", name, "--wait=false")


@pytest.fixture(params=["in memory", "real"])
async def api(request: pytest.FixtureRequest) -> AsyncIterator[ApiServer]:
    if request.param == "in memory":
        yield InMemory(FakeKubernetes())
        return
    namespace: Namespace = request.getfixturevalue("namespace")
    kind: ResourceType = request.getfixturevalue("kind")
    async with Client.connect(from_environment()) as client:
        yield Real(client, namespace.name, kind)
    await asyncio.sleep(
        0.2
    )  # until TLS has closed the connections of broken-off watches, as aiohttp's documentation asks


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
async def test_an_answer_is_that_of_a_real_api_server(api: ApiServer, case: Case) -> None:
    assert await case.requests(api) == case.expected
