"""``make kills``: kill every part at random under mixed load, and account for every request.

Prints the account and writes ``.local/kills.txt``; ends with status 1 if a promise was broken. Run under ``$SYMPOZIUM_EXEC``.
"""

import argparse
import asyncio
import logging
import random
import secrets
import sys
import threading
import time
from pathlib import Path

import httpx2
from tests.bench.kills.account import Runs, settle, table
from tests.bench.kills.callers import SCRIPTS, Callers
from tests.bench.kills.faults import Faults
from tests.e2e.conftest import Endpoint, Namespace, instance, model_server, responds, until
from tests.e2e.signals import signals

from sympozium_api.client import Client, from_environment

RESULT = Path(".local/kills.txt")
SETTLE_SECONDS = 900
"""Within which every accepted run must have ended after the last fault: its queue's and its own timeout."""

log = logging.getLogger("tests.bench.kills")


def main() -> None:
    """Run, print the account, and end with status 1 if a promise was broken."""
    parser = argparse.ArgumentParser(description="Kill parts at random under load, and account for every request.")
    parser.add_argument("--seconds", type=int, default=600, help="how long (default: 600)")
    parser.add_argument("--callers", type=int, default=5, help="callers at once (default: 5)")
    parser.add_argument("--seed", type=int, default=secrets.randbelow(10**6), help="of the choices")
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", stream=sys.stderr)
    logging.getLogger("httpx2").setLevel(logging.WARNING)
    system, namespace = Namespace("sympozium-system"), Namespace(f"kills-{secrets.token_hex(3)}")
    image = system.get("deployment", "sympozium-runs")["spec"]["template"]["spec"]["containers"][0]["image"]
    log.info("seed %d, namespace %s", options.seed, namespace.name)
    namespace.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace.name}})
    try:
        namespace.apply(*model_server(image), instance("quiet"))
        with signals(image) as to:
            faults = Faults(system, namespace, to, random.Random(options.seed))
            account, broken = asyncio.run(_measure(endpoints(namespace), faults, options))
        RESULT.parent.mkdir(exist_ok=True)
        RESULT.write_text(account + "\n")
        print(account)  # noqa: T201 - what the command is for
        sys.exit(broken > 0)
    finally:
        namespace.remove()


def endpoints(namespace: Namespace) -> list[Endpoint]:
    """Return an instance with two replicas and one with a warm pool, both with a queue."""
    web_endpoint = {"enabled": True, "replicas": 2, "rateLimit": {"requestsPerMinute": 60_000, "burstSize": 1000}}
    agent = {"allowedModels": list(SCRIPTS)}
    namespace.apply(
        instance("cold", agent=agent, webEndpoint=web_endpoint, maxConcurrentRuns=3),
        instance("warm", agent=agent | {"warmPool": {"size": 2}}, webEndpoint=web_endpoint),
    )
    return [Endpoint(namespace, name).serves() for name in ("cold", "warm")]


async def _measure(targets: list[Endpoint], faults: Faults, options: argparse.Namespace) -> tuple[str, int]:
    runs, namespace = Runs(), faults.namespace
    async with Client.connect(from_environment()) as client:
        following = asyncio.create_task(runs.follow(client, namespace.name))
        keys = {target.instance: target.key for target in targets}
        callers = Callers(targets, keys, client, runs, random.Random(options.seed + 1))
        killer = threading.Thread(target=faults.run)
        killer.start()
        end = time.monotonic() + options.seconds
        calls = [asyncio.create_task(callers.call(end)) for _ in range(options.callers)]
        reporting = asyncio.create_task(_report(callers))
        await asyncio.sleep(options.seconds)
        faults.stop.set()
        await asyncio.to_thread(killer.join)
        await asyncio.gather(*calls)
        deadline = time.monotonic() + SETTLE_SECONDS
        while runs.open() and time.monotonic() < deadline:
            await asyncio.sleep(1)
        await asyncio.sleep(10)  # a status that changes after its end shall be seen
        reporting.cancel()
        following.cancel()
    model = f"http://{namespace.get('service', 'model')['spec']['clusterIP']}:8080"
    until(lambda: responds(f"{model}/healthz"), within=30)
    broken = settle(callers.requests, runs, httpx2.get(f"{model}/asked").json())
    return table(callers.requests, runs, broken, faults.done), len(broken)


async def _report(callers: Callers) -> None:
    while True:
        await asyncio.sleep(60)
        told = sum(bool(request.told) for request in callers.requests)
        log.info("%d requests so far; %d were told an end", len(callers.requests), told)


if __name__ == "__main__":
    main()
