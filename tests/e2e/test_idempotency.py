"""An Idempotency-Key is one run, whoever asks, however often and wherever, and whatever dies meanwhile."""

import asyncio
import logging
import os
from collections import defaultdict
from collections.abc import Callable, Iterator
from itertools import count

import httpx2
import pytest
from tests.e2e.conftest import LONGEST, Endpoint, Namespace, Object, agent_run, instance, until
from tests.e2e.signals import signals
from tests.e2e.webproxies import PLENTY, addresses, made, pods, runs

log = logging.getLogger(__name__)

KEYS = int(os.environ.get("SYMPOZIUM_TEST_KEYS", "200"))
"""A thousand prove no more and take minutes; who doubts it sets the variable."""
CALLERS = 10
AT_ONCE = 100
"""Callers that ask at the same time."""
CHAT = {"messages": [{"role": "user", "content": "hello"}]}


@pytest.fixture(scope="module")
def keyed(namespace: Namespace) -> Iterator[Endpoint]:
    """An instance with three web-proxies, and room for all."""
    web_endpoint = {"enabled": True, "replicas": 3, "rateLimit": PLENTY}
    yield from made(namespace, instance("keyed", webEndpoint=web_endpoint, maxConcurrentRuns=4, maxQueuedRuns=2 * KEYS))


@pytest.fixture
def known(keyed: Endpoint) -> set[str]:
    """The runs that were there before."""
    keyed.serves().use_model("slow:15:100")
    return set(runs(keyed))


@pytest.fixture
def held_back(keyed: Endpoint) -> Iterator[None]:
    """Nothing starts, for others that hang are in the way; at last all of them are removed."""
    blockers = [
        agent_run(f"blocker-{number}", agentRef="keyed", task="x", model={"model": "hang"}) for number in range(4)
    ]
    keyed.namespace.apply(*blockers)
    until(lambda: len(keyed.namespace.list("jobs", "-l", "sympozium.ai/instance=keyed")) == 4, within=30)
    yield
    every = f"/apis/sympozium.ai/v1alpha1/namespaces/{keyed.namespace.name}/agentruns"
    selector = "sympozium.ai/instance=keyed,sympozium.ai/source=web-proxy"
    keyed.namespace.kubectl("delete", "--raw", f"{every}?labelSelector={selector}")
    for blocker in blockers:
        keyed.namespace.delete("run", blocker["metadata"]["name"])


def new(endpoint: Endpoint, known: set[str]) -> dict[str, Object]:
    """The runs that callers made since, by name."""
    return {name: run for name, run in runs(endpoint).items() if name not in known and "task" not in run["spec"]}


@pytest.mark.usefixtures("held_back")
def test_a_key_is_one_run_for_all_of_its_callers_on_all_replicas(keyed: Endpoint, known: set[str]) -> None:
    """The runs never start: what is counted is runs, not how fast pods come."""
    told = asyncio.run(ask_with_all_keys(keyed))

    made = set(new(keyed, known))
    log.info("%d keys by %d callers each made %d runs", KEYS, CALLERS, len(made))
    assert {len(callers) for callers in told.values()} == {CALLERS}
    assert {len(set(callers)) for callers in told.values()} == {1}
    assert made == {callers[0] for callers in told.values()}
    assert len(made) == len(told) == KEYS


async def ask_with_all_keys(endpoint: Endpoint) -> dict[str, list[str]]:
    """Which run each caller of a key was told; nobody waits for its end."""
    told, replicas, turn = defaultdict[str, list[str]](list), addresses(endpoint), asyncio.Semaphore(AT_ONCE)
    assert len(replicas) == 3
    headers = {"Authorization": f"Bearer {endpoint.key}"}

    async def ask(http: httpx2.AsyncClient, key: str, caller: int) -> None:
        url, own = f"{replicas[caller % 3]}/v1/responses", headers | {"Idempotency-Key": key}
        async with turn:
            answer = await http.post(url, json={"input": "hello", "background": True}, headers=own)
            while answer.status_code == 503:  # the API server is busy: a client comes again
                await asyncio.sleep(float(answer.headers["retry-after"]))
                answer = await http.post(url, json={"input": "hello", "background": True}, headers=own)
        assert answer.status_code == 200, answer.text
        told[key].append(answer.headers["x-sympozium-run"])

    async with httpx2.AsyncClient(timeout=LONGEST) as http, asyncio.TaskGroup() as asked:
        for key in range(KEYS):
            for caller in range(CALLERS):
                asked.create_task(ask(http, f"key-{key}", caller))
    return told


def test_callers_of_one_key_get_the_same_answer(keyed: Endpoint, known: set[str]) -> None:
    async def ask(http: httpx2.AsyncClient, address: str) -> tuple[str, str]:
        answer = await http.post(f"{address}/v1/chat/completions", json=CHAT, headers={"Idempotency-Key": "one"})
        assert answer.status_code == 200, answer.text
        return answer.headers["x-sympozium-run"], answer.json()["choices"][0]["message"]["content"]

    async def ask_all() -> list[tuple[str, str]]:
        async with httpx2.AsyncClient(timeout=LONGEST, headers={"Authorization": f"Bearer {keyed.key}"}) as http:
            return await asyncio.gather(*[ask(http, address) for address in addresses(keyed) * 3])

    [(run, content)] = set(asyncio.run(ask_all()))
    assert len(content.split()) == 15
    assert set(new(keyed, known)) == {run}


def test_web_proxies_are_killed_under_load_and_who_comes_again_gets_the_answer(
    keyed: Endpoint, known: set[str], webproxy_image: str
) -> None:
    with signals(webproxy_image) as to:
        tries = asyncio.run(ask_while_they_die(keyed, lambda pod: to.send("sympozium_webproxy", pod, "KILL")))

    for run in new(keyed, known):
        keyed.namespace.run_ends(run)
    made = new(keyed, known)
    log.info("tries of each caller: %s", sorted(tries))
    assert max(tries) > 1, "nobody noticed"
    assert len(made) == len(tries)
    assert {run["status"]["phase"] for run in made.values()} == {"Succeeded"}
    assert {len(run["status"]["result"].split()) for run in made.values()} == {15}


async def ask_while_they_die(endpoint: Endpoint, kill: Callable[[str], None]) -> list[int]:
    """Kill one replica after the other; return how often each caller had to ask until it had a whole answer. Half of them stream."""
    headers = {"Authorization": f"Bearer {endpoint.key}"}

    async def ask(http: httpx2.AsyncClient, number: int) -> int:
        body, own = CHAT | {"stream": number % 2 == 0}, headers | {"Idempotency-Key": f"killed-{number}"}
        await asyncio.sleep(number * 0.4)
        for tried in count(1):
            try:
                answer = await http.post("/v1/chat/completions", json=body, headers=own)
                if answer.status_code == 200 and (not body["stream"] or answer.text.endswith("data: [DONE]\n\n")):
                    return tried
                wrong = f"{answer.status_code} {answer.text[-200:]}"
            except httpx2.TransportError as error:
                wrong = repr(error)
            log.info("caller %d, try %d: %s", number, tried, wrong)
            await asyncio.sleep(0.5)
        raise AssertionError

    limits = httpx2.Limits(max_keepalive_connections=0)
    async with asyncio.timeout(400), httpx2.AsyncClient(base_url=endpoint.url, timeout=60, limits=limits) as http:
        callers = [asyncio.create_task(ask(http, number)) for number in range(30)]
        for pod in pods(endpoint):
            await asyncio.sleep(3)
            await asyncio.to_thread(kill, pod["metadata"]["name"])
        return await asyncio.gather(*callers)
