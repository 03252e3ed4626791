"""``python -m tests.bench.pod_starts``: what each part of an agent's pod costs at its start.

Jobs whose Python imports the agent and opens a connection take turns, in pods like an agent's and in pods that lack or have one part
more. Needs a cluster, and ``$SYMPOZIUM_EXEC`` before it. ``--images`` adds pods of other images, which the node must have.
"""

import argparse
import asyncio
import logging
import secrets
import statistics
import sys
from typing import Any

from tests.bench.__main__ import REST_SECONDS, agent_image
from tests.bench.barejob import BareJobs
from tests.bench.report import spread
from tests.e2e.conftest import Namespace

from sympozium_api import names
from sympozium_operator.desired import pod_parts

log = logging.getLogger(__name__)

Object = dict[str, Any]
AGENT = "as an agent's pod"
IMPORTS = "sympozium_agent.process"
LEAVE = 25
"""Ended Jobs above which they are removed: many ended pods slow the kubelet down."""


def agent_like(image: str, *, volumes: int = 1, pod: Object | None = None, security: Object | None = None) -> Object:
    """Return the spec of a pod like an agent's, with ``volumes`` volumes, and parts of its spec and container replaced."""
    token = {"serviceAccountToken": {"audience": names.RUNS_AUDIENCE, "expirationSeconds": 3600, "path": "token"}}
    mounted = [
        {"name": f"volume-{number}", "projected": {"defaultMode": pod_parts.READABLE, "sources": [token]}}
        for number in range(volumes)
    ]
    mounts = [
        {"name": volume["name"], "mountPath": f"/var/run/secrets/{volume['name']}", "readOnly": True}
        for volume in mounted
    ]
    container = {
        "image": image,
        "resources": {"requests": {"cpu": "10m", "memory": "64Mi"}, "limits": {"memory": "512Mi"}},
        "securityContext": pod_parts.container_security() | (security or {}),
        "volumeMounts": mounts,
    }
    return {
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": 5,
        "securityContext": pod_parts.pod_security() | (pod or {}),
        "containers": [container],
        "volumes": mounted,
    }


def variants(image: str, images: list[str]) -> dict[str, Object]:
    """Return the pods to compare, by what distinguishes them from an agent's."""
    seccomp = {"seccompProfile": {"type": "Unconfined"}}
    return {
        AGENT: agent_like(image),
        "without seccomp's filter": agent_like(image, pod=seccomp),
        "root file system writable": agent_like(image, security={"readOnlyRootFilesystem": False}),
        "without fsGroup": agent_like(image, pod={"fsGroup": None}),
        "three volumes": agent_like(image, volumes=3),
        "no volume": agent_like(image, volumes=0),
        **{f"image {other}": agent_like(other) for other in images},
    }


async def measure(names_of: dict[str, Object], image: str, namespace: Namespace, count: int) -> None:
    """Print the table: first line of each kind of pod, and the median of its differences from the agent's of the same turn."""
    jobs = {
        name: BareJobs(namespace, image, token=False, pod=pod, prefix=f"kind-{number}", imports=IMPORTS)
        for number, (name, pod) in enumerate(names_of.items())
    }
    samples: dict[str, list[float]] = {name: [] for name in jobs}
    made = 0
    for turn in range(count + 1):
        for name, each in jobs.items():
            await asyncio.sleep(REST_SECONDS)
            seconds = await each.first_line()
            made += 1
            if turn:  # the first of each kind fills caches
                samples[name].append(seconds)
        if made > LEAVE:
            await asyncio.to_thread(namespace.kubectl, "delete", "jobs", "--all")
            await asyncio.sleep(3)
            made = 0
    for name, times in samples.items():
        differences = [1000 * (own - agent) for own, agent in zip(times, samples[AGENT], strict=True)]
        found = spread(times)
        row = (name, 1000 * found["p50"], 1000 * found["p95"], statistics.median(differences), count)
        log.info("| %s | %.0f | %.0f | %+.0f | %d |", *row)


def main() -> None:
    """Measure as the command line asks."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--samples", type=int, default=20, help="pods of each kind")
    parser.add_argument("--only", nargs="+", default=[], help="kinds that contain one of these words, and an agent's")
    parser.add_argument("--images", nargs="+", default=[], help="further images, which the node has")
    arguments = parser.parse_args()
    logging.basicConfig(format="%(message)s", level=logging.WARNING, stream=sys.stdout)
    log.setLevel(logging.INFO)
    image, namespace = agent_image(), Namespace(f"bench-pods-{secrets.token_hex(2)}")
    kinds = {
        name: pod
        for name, pod in variants(image, arguments.images).items()
        if name == AGENT or not arguments.only or any(word in name for word in arguments.only)
    }
    namespace.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace.name}})
    try:
        asyncio.run(measure(kinds, image, namespace, arguments.samples))
    finally:
        namespace.delete("namespace", namespace.name, "--wait=false")


if __name__ == "__main__":
    main()
