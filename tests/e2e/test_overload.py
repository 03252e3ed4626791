"""More is asked than can be done: the queue is bounded, visible, and fair among API keys."""

import asyncio
import logging
import statistics
import time
from collections import Counter
from collections.abc import Iterator
from itertools import count

import httpx2
import pytest
from tests.e2e.conftest import LONGEST, PATIENCE, Endpoint, Namespace, instance, until
from tests.e2e.figures import figure, operators
from tests.e2e.webproxies import PLENTY, made, runs

pytestmark = pytest.mark.measures

log = logging.getLogger(__name__)

CHAT = "/v1/chat/completions"
ASK = {"messages": [{"role": "user", "content": "hello"}]}


def headers(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


class TestFairness:
    """Three keys, four runs at a time. Two of them ask once and again; the third one asks for its share, or a hundred times as much."""

    KEYS = ("greedy", "alice", "bob")
    SHARE = 0.3
    """Runs a second of one key: four at a time, of about four seconds, for three."""
    REQUESTS = 5

    @pytest.fixture
    def contended(self, namespace: Namespace) -> Iterator[Endpoint]:
        keys = {f"api-key-{name}": f"sk-{name}" for name in self.KEYS} | {"api-key": "sk-owner"}
        namespace.apply({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "three"}, "stringData": keys})
        web_endpoint = {"enabled": True, "replicas": 2, "rateLimit": PLENTY, "authSecretRef": "three"}
        body = instance(
            "contended", model="slow:30:100", webEndpoint=web_endpoint, maxConcurrentRuns=4, maxQueuedRuns=36
        )
        yield from made(namespace, body)
        namespace.delete("secret", "three")

    def test_who_asks_for_too_much_makes_only_its_own_requests_wait(self, contended: Endpoint) -> None:
        fair, _ = asyncio.run(self.beside(contended, self.SHARE))
        besides, greedy = asyncio.run(self.beside(contended, 100 * self.SHARE))
        log.info(
            "the others: %s beside one at its share, %s beside one at 100 times that: %s",
            told(fair),
            told(besides),
            greedy,
        )
        assert len(fair) == len(besides) == 2 * self.REQUESTS, "every one of them was answered"
        assert greedy[429] > 20 * greedy[200] > 0
        assert statistics.median(besides) < 2 * statistics.median(fair) + 2, "in a line for all it were 20 more"

    async def beside(self, endpoint: Endpoint, rate: float) -> tuple[list[float], Counter[int]]:
        """Seconds of the others beside a third one that asks so many times a second, and what that one was answered."""
        limits, answers = httpx2.Limits(max_connections=None), Counter[int]()
        async with httpx2.AsyncClient(base_url=endpoint.url, timeout=LONGEST, limits=limits) as http:
            third = asyncio.create_task(self.asks_at(rate, http, answers))
            await asyncio.sleep(5)  # its line is as long as it gets
            seconds = await self.modest(http)
            third.cancel()
            await asyncio.wait([third])
        return seconds, answers

    async def modest(self, http: httpx2.AsyncClient) -> list[float]:
        """Seconds that each request of the others took."""

        async def asks(name: str) -> list[float]:
            found = []
            for _ in range(self.REQUESTS):
                began = time.monotonic()
                answer = await http.post(CHAT, json=ASK, headers=headers(f"sk-{name}"))
                assert answer.status_code == 200, answer.text
                found.append(time.monotonic() - began)
            return found

        alice, bob = await asyncio.gather(asks("alice"), asks("bob"))
        return alice + bob

    async def asks_at(self, rate: float, http: httpx2.AsyncClient, answers: Counter[int]) -> None:
        """Ask so many times a second until this is cancelled, and all its requests with it."""

        async def ask() -> None:
            answers[(await http.post(CHAT, json=ASK, headers=headers("sk-greedy"))).status_code] += 1

        began = time.monotonic()
        async with asyncio.TaskGroup() as asked:
            for sent in count(1):
                asked.create_task(ask())
                await asyncio.sleep(max(0.0, began + sent / rate - time.monotonic()))


def told(seconds: list[float]) -> str:
    return f"p50 {statistics.median(seconds):.1f}, most {max(seconds):.1f}"


class TestFull:
    """One run at a time, three that wait, and a model that never answers."""

    FLOOD, AT_ONCE = 2000, 50
    BODY = {"messages": [{"role": "user", "content": "x" * 100_000}]}

    @pytest.fixture
    def full(self, namespace: Namespace) -> Iterator[Endpoint]:
        web_endpoint = {"enabled": True, "rateLimit": PLENTY}
        body = instance("full", model="hang", webEndpoint=web_endpoint, maxConcurrentRuns=1, maxQueuedRuns=3)
        yield from made(namespace, body)

    def test_who_waits_sees_its_place_and_who_comes_beyond_is_refused_at_once(
        self, full: Endpoint, system: Namespace
    ) -> None:
        accepted = [self.background(full)]
        until(lambda: full.namespace.status("run", accepted[0]).get("phase") == "Running", within=60)
        accepted += [self.background(full) for _ in range(3)]
        until(
            lambda: self.places(full, accepted) == [None, 1, 2, 3], within=15, why=lambda: self.places(full, accepted)
        )
        until(lambda: figure(full.metrics_url, "sympozium_runs_open") == 4, within=10)
        until(lambda: sum(operators(system, "sympozium_operator_runs_waiting").values()) == 3, within=10)

        before = figure(full.metrics_url, "process_resident_memory_bytes")
        seconds = asyncio.run(self.flood(full))
        grown = figure(full.metrics_url, "process_resident_memory_bytes") - before
        log.info("refused after p50 %.3f s; %.1f MB more", statistics.median(seconds), grown / 1e6)
        assert statistics.median(seconds) < PATIENCE * 1.0
        assert grown < 50e6, "the flood was 200 MB"
        assert figure(full.metrics_url, 'sympozium_requests_refused_total{reason="queue_full"}') == self.FLOOD
        assert set(runs(full)) == set(accepted)

        full.namespace.patch("run", accepted[0], {"spec": {"cancel": True}})
        until(lambda: self.places(full, accepted[1:]) == [None, 1, 2], within=30)

    def background(self, endpoint: Endpoint) -> str:
        answer = endpoint.http.post("/v1/responses", json={"input": "hello", "background": True})
        assert answer.status_code == 200, answer.text
        return answer.headers["x-sympozium-run"]

    def places(self, endpoint: Endpoint, names: list[str]) -> list[int | None]:
        return [endpoint.namespace.status("run", name).get("queuePosition") for name in names]

    async def flood(self, endpoint: Endpoint) -> list[float]:
        """Seconds until each was refused."""
        turn = asyncio.Semaphore(self.AT_ONCE)

        async def ask(http: httpx2.AsyncClient) -> float:
            async with turn:
                began = time.monotonic()
                answer = await http.post(CHAT, json=self.BODY)
                assert (answer.status_code, answer.json()["error"]["code"]) == (429, "queue_full")
                assert int(answer.headers["retry-after"]) > 0
                return time.monotonic() - began

        async with httpx2.AsyncClient(base_url=endpoint.url, headers=headers(endpoint.key), timeout=LONGEST) as http:
            return await asyncio.gather(*[ask(http) for _ in range(self.FLOOD)])
