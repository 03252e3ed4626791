"""The operator with many instances on some Providers: memory, and the time in which a changed Provider is settled.

``python -m tests.bench.operator_providers`` prints MB with plain instances and with instances on Providers, and the seconds from a
change of one Provider's address to the last of its instances whose status has the new document.
"""

import argparse
import asyncio
import base64
import time
from collections.abc import Callable
from datetime import UTC, datetime

from tests.bench.operator_cost import operator, until_idle
from tests.bench.operator_memory import resident_mb
from tests.bench.report import Figures
from tests.fakes.kubernetes import FakeKubernetes
from tests.unit.api.test_providers import provider_manifest
from tests.unit.operator.objects import instance_object

from sympozium_api import names
from sympozium_api.resources import INSTANCES, Object

PROVIDERS = 20
_LONGEST_SECONDS = 300.0


async def measure(*, instances: int = 1000, providers: int = PROVIDERS) -> Figures:
    """Return memory and the time of one change."""
    plain = await resident_mb(instances)
    cluster = FakeKubernetes(lambda: datetime.now(UTC))
    for number in range(providers):
        cluster.put(_secret(number))
        cluster.put(_provider(number))
    for number in range(instances):
        cluster.put(_user(number, number % providers))
    async with operator(cluster) as process:
        every = [f"i{number}" for number in range(instances)]
        await _until(lambda: all(_digest(cluster, name) for name in every))
        await until_idle(cluster)
        mb = process.resident_mb
        users = [f"i{number}" for number in range(0, instances, providers)]
        before = {name: _digest(cluster, name) for name in every}
        began = time.monotonic()
        cluster.put(_provider(0, apiBase="https://proxy.example.com/v1"))
        await _until(lambda: all(_digest(cluster, name) != before[name] for name in users))
        settled = time.monotonic() - began
        changed = sum(_digest(cluster, name) != before[name] for name in every)
    return {
        "operator_providers": {
            "instances": instances,
            "providers": providers,
            "mb_plain": round(plain, 1),
            "mb": round(mb, 1),
            "instances_of_the_changed": len(users),
            "instances_changed": changed,
            "settled_seconds": round(settled, 2),
        }
    }


async def _until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + _LONGEST_SECONDS
    while not holds():
        if time.monotonic() > deadline:
            raise TimeoutError
        await asyncio.sleep(0.05)


def _digest(cluster: FakeKubernetes, name: str) -> str | None:
    found: str | None = cluster.object(INSTANCES, name).get("status", {}).get("agentDocument")
    return found


def _secret(number: int) -> Object:
    metadata = {"name": f"key-{number}", "namespace": "default", "labels": {names.LABEL_MODEL_KEY: "true"}}
    data = {"api-key": base64.b64encode(b"sk-1").decode()}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "data": data}


def _provider(number: int, **spec: str) -> Object:
    return provider_manifest(f"p{number}", secretRef=f"key-{number}", **spec)


def _user(number: int, provider: int) -> Object:
    body = instance_object(f"i{number}")
    body["metadata"]["namespace"] = "default"
    body["spec"]["agents"]["default"] = {"model": "claude-x", "providerRef": f"p{provider}"}
    return body


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="The operator with many instances on some Providers.")
    parser.add_argument("--instances", type=int, default=1000)
    print(asyncio.run(measure(instances=parser.parse_args().instances)))  # noqa: T201
