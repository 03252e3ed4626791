"""Stages of a cold run, from what is written anyway: the audit log, the web-proxy's log, and what its caller saw.

Every step is a moment, in seconds since the caller sent its request. The kubelet writes three Events for a pod whose image is there,
always in this order: image found (its sandbox and volumes are ready by then), container made, container started.
"""

import json
import statistics
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from tests.bench.audit import AuditLog, writer
from tests.bench.requests import Stream
from tests.e2e.conftest import Namespace

BEGAN, ENDED = "requestReceivedTimestamp", "stageTimestamp"


@dataclass(frozen=True)
class _Call:
    """The ``nth`` call of this kind, about this run's objects."""

    who: str
    verb: str
    resource: str
    moment: str = ENDED
    nth: int = 0


_CALLS = {
    "accepted: the AgentRun is on its way": _Call("web-proxy", "create", "agentruns", BEGAN),
    "AgentRun created": _Call("web-proxy", "create", "agentruns"),
    "seen by the operator": _Call("operator", "get", "agentruns", BEGAN),
    "Job created": _Call("operator", "create", "jobs"),
    "pod made and scheduled": _Call("kube-scheduler", "create", "pods/binding"),
    "pod seen by its node": _Call("node", "patch", "pods/status", BEGAN),
    "volumes mounted, sandbox ready": _Call("node", "create", "events", BEGAN),
    "container created": _Call("node", "create", "events", BEGAN, 1),
    "container started": _Call("node", "create", "events", BEGAN, 2),
}
_AGENT_READY = "agent ready: it asks for its task"


def steps(streams: list[Stream], namespace: Namespace, log: AuditLog, begin: int) -> dict[str, dict[str, float]]:
    """For each step of these runs, in order: ``at``, its p50 since the request, and ``took``, its p50 since the step before."""
    ready = _agents_ready(namespace)
    calls = [event for event in log.since(begin) if event.get("objectRef", {}).get("namespace") == namespace.name]
    moments = [_moments(stream, [call for call in calls if _is_about(call, stream.run)], ready) for stream in streams]
    whole = [found for found in moments if found]
    names = list(whole[0]) if whole else []
    return {
        name: {
            "at": statistics.median(found[name] for found in whole),
            "took": statistics.median(found[name] - (found[names[number - 1]] if number else 0) for found in whole),
        }
        for number, name in enumerate(names)
    }


def _moments(stream: Stream, calls: list[Any], ready: dict[str, float]) -> dict[str, float] | None:
    """Seconds since the request of every step; None where one of them was not written."""
    found = {name: _moment(call, calls) for name, call in _CALLS.items()} | {_AGENT_READY: ready.get(stream.run)}
    since = {name: at - stream.sent_at for name, at in found.items() if at is not None}
    if len(since) < len(found):
        return None
    return since | {"first token": stream.first_token, "done": stream.total}


def _moment(call: _Call, calls: Iterable[Any]) -> float | None:
    same = [event for event in calls if _is(event, call)]
    return _unix(same[call.nth][call.moment]) if len(same) > call.nth else None


def _is(event: Any, call: _Call) -> bool:
    about = event["objectRef"]
    resource = "/".join(part for part in (about["resource"], about.get("subresource")) if part)
    return (writer(event), event["verb"], resource) == (call.who, call.verb, call.resource)


def _is_about(event: Any, run: str) -> bool:
    """Return true for the run, its Job, its pod and Events of these: all their names begin with the run's."""
    return bool(event["objectRef"].get("name", "").startswith(run))


def _agents_ready(namespace: Namespace) -> dict[str, float]:
    """When the pod of each run asked for its task: the web-proxy's log says when it was answered, and after how long."""
    lines = namespace.kubectl("logs", "-l", "app.kubernetes.io/component=web-proxy", "--tail=-1").splitlines()
    asked = [line for line in map(json.loads, lines) if line.get("route") == "/runs/{name}/task"]
    return {line["run"]: _unix(line["timestamp"]) - line["seconds"] for line in asked if "run" in line}


def _unix(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()
