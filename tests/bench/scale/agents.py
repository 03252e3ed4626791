"""``python -m tests.bench.scale.agents FILE``: one process that is the agent in every pod on a simulated node, until SIGTERM.

It speaks to the runs surfaces by the agent's own code, each pod with a token of its own; only the model's answer is made up. What it did
is written to FILE at the end.
"""

import asyncio
import json
import signal
import socket
import sys
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tests.fakes.agent_thread import in_thread

from sympozium_agent.agent_settings import AgentSettings, Timeouts
from sympozium_agent.record_delivery import DeliveryOutcome, RecordDelivery
from sympozium_agent.runs_client import RunsClient, TaskRefused, Unused
from sympozium_agent.termination import unused_message
from sympozium_agent.waiting import Scope
from sympozium_api.agent_records import Delta, Done
from sympozium_api.client import ApiError, ApiUnavailable, Client, ResourceType, Snapshot, from_environment, watch
from sympozium_api.clock import SystemClock
from sympozium_api.names import RUNS_AUDIENCE
from sympozium_api.resources import PODS
from sympozium_api.timestamps import timestamp

Object = dict[str, Any]

ANSWER = "Hello from a simulated node."
TOKEN_SECONDS = 3600
_PATIENCE = Timeouts()


@dataclass
class Tally:
    """Counts of what the pods did."""

    pods: int = 0
    tasks: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    """By run, the pods that were given it."""
    ends: Counter[str] = field(default_factory=Counter)


class Agents:
    """Starts a life for each pod that runs, and ends it when the pod is deleted."""

    def __init__(self, client: Client) -> None:
        self.tally = Tally()
        self._client = client
        self._lives: dict[str, asyncio.Task[None]] = {}
        self._addresses: dict[str, str] = {}

    async def run(self) -> None:
        """Follow the pods, without end."""
        selectors = {"labelSelector": "app.kubernetes.io/component=agent", "fieldSelector": "status.phase=Running"}
        async for event in watch(self._client, PODS, None, **selectors):
            if isinstance(event, Snapshot):
                there = {pod["metadata"]["uid"] for pod in event.items}
                for uid in set(self._lives) - there:
                    self._lives.pop(uid).cancel()
                for pod in event.items:
                    self._seen(pod, is_going=False)
            else:
                self._seen(event.object, is_going=event.deleted)

    def _seen(self, pod: Object, *, is_going: bool) -> None:
        uid = pod["metadata"]["uid"]
        if is_going or "deletionTimestamp" in pod["metadata"]:
            if life := self._lives.pop(uid, None):
                life.cancel()
        elif uid not in self._lives:
            self.tally.pods += 1
            self._lives[uid] = asyncio.create_task(self._life(pod))

    async def _life(self, pod: Object) -> None:
        """Do what ``sympozium_agent`` does in a pod."""
        container = pod["spec"]["containers"][0]
        settings = AgentSettings.of({variable["name"]: variable.get("value", "") for variable in container["env"]})
        token = await self._token(pod)
        addresses = [await self._resolved(address) for address in settings.addresses]
        mailbox = RunsClient(settings.run, addresses, token=lambda: token, timeouts=_PATIENCE)
        try:
            task = await in_thread(
                lambda scope: (
                    mailbox.task(scope)
                    if settings.run
                    else mailbox.claimed_task(settings.instance, settings.idle_ttl, scope)
                )
            )
        except Unused:
            await self._end(pod, "unused", unused_message())
        except TaskRefused as refusal:
            await self._end(pod, str(refusal), code=1)
        else:
            self.tally.tasks[task["run"]].append(pod["metadata"]["name"])
            outcome = await in_thread(lambda scope: _answer(mailbox, scope))
            if settings.run is None:
                await asyncio.sleep(_PATIENCE.idle_exit_delay)
            await self._end(pod, outcome.value, code=int(outcome is DeliveryOutcome.REFUSED))

    async def _token(self, pod: Object) -> str:
        """As the kubelet gets it for the pod's volume."""
        metadata = pod["metadata"]
        account = pod["spec"]["serviceAccountName"]
        kind = ResourceType("", "v1", f"serviceaccounts/{account}/token", "TokenRequest")
        bound = {"apiVersion": "v1", "kind": "Pod", "name": metadata["name"], "uid": metadata["uid"]}
        spec = {"audiences": [RUNS_AUDIENCE], "expirationSeconds": TOKEN_SECONDS, "boundObjectRef": bound}
        body = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": spec}
        found = await _persistently(lambda: self._client.create(kind, metadata["namespace"], body))
        token: str = found["status"]["token"]
        return token

    async def _resolved(self, url: str) -> str:
        """With an address in the place of a name, which thousands of pods would ask one DNS server for."""
        parts = urlsplit(url)
        host = parts.hostname or ""
        if host not in self._addresses:
            found = await asyncio.get_running_loop().getaddrinfo(host, parts.port, family=socket.AF_INET)
            self._addresses[host] = str(found[0][4][0])
        return f"http://{self._addresses[host]}:{parts.port}"

    async def _end(self, pod: Object, why: str, message: str = "", *, code: int = 0) -> None:
        self.tally.ends[why] += 1
        before = pod["status"]["containerStatuses"][0]
        ended = {"exitCode": code, "message": message, "finishedAt": timestamp(SystemClock().now())}
        container = before | {"ready": False, "state": {"terminated": ended | before["state"]["running"]}}
        status = {"phase": "Failed" if code else "Succeeded", "containerStatuses": [container]}
        place = pod["metadata"]["namespace"], pod["metadata"]["name"]
        with suppress(ApiError):  # it is gone
            await _persistently(lambda: self._client.patch(PODS, *place, {"status": status}, subresource="status"))


def _answer(mailbox: RunsClient, scope: Scope) -> DeliveryOutcome:
    events = RecordDelivery(mailbox)
    message = {"role": "assistant", "content": ANSWER}
    events.push(Delta(type="delta", choices=[{"index": 0, "delta": message, "finish_reason": None}]))
    choices = [{"index": 0, "message": message, "finish_reason": "stop"}]
    events.end(Done(type="done", choices=choices, usage={}, durationMs=0))
    return events.deliver(scope)


async def _persistently(call: Callable[[], Awaitable[Object]]) -> Object:
    """As a kubelet does what it has to do."""
    while True:
        try:
            return await call()
        except ApiUnavailable:
            await asyncio.sleep(1)


async def main() -> Tally:
    """Until SIGTERM."""
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    async with Client.connect(from_environment()) as client:
        agents = Agents(client)
        running = asyncio.create_task(agents.run())
        waiting = asyncio.create_task(stop.wait())
        await asyncio.wait({running, waiting}, return_when=asyncio.FIRST_COMPLETED)
    return agents.tally


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(json.dumps(vars(asyncio.run(main()))))
