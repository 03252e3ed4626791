"""Requests to an API server and their answers, as ``tests/fakes/kubernetes.py`` and a real API server must both give them.

Each case is a function whose name is its sentence. It makes requests with the project's own client and returns what is compared with
the value in its decorator. Objects have names of their own, so that cases share a namespace. Here is what the cases share; they stand
in ``api_server_writes``, ``api_server_reads`` and ``api_server_rules``.
"""

import itertools
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any, Protocol

from sympozium_api.client import ApiError, Client
from sympozium_api.resources import Object, ResourceType

MANAGER = "conformance"
_numbers = itertools.count(1)


class ApiServer(Protocol):
    """An API server under test, seen through the project's client."""

    @property
    def client(self) -> Client: ...

    @property
    def namespace(self) -> str: ...

    @property
    def runs(self) -> ResourceType:
        """A kind with the schema and the rules of AgentRun, of which no operator knows."""

    async def expired_page(self) -> str:
        """Return a ``continue`` token of a list that the API server has forgotten."""

    async def expired_version(self) -> str:
        """Return a resource version from which the API server can no longer watch."""

    def ends_watches(self) -> AbstractAsyncContextManager[dict[str, str]]:
        """Give the query of a watch that the API server ends by itself, within seconds of the block's begin."""


@dataclass(frozen=True)
class Case:
    """One row of the table."""

    requests: Callable[[ApiServer], Awaitable[object]]
    expected: object

    @property
    def name(self) -> str:
        return self.requests.__name__


CASES: list[Case] = []


def answers(expected: object) -> Callable[[Callable[[ApiServer], Awaitable[object]]], None]:
    """Add a function to the table with the value that it must return."""
    return lambda requests: CASES.append(Case(requests, expected))


async def refusal(call: Awaitable[object]) -> tuple[int, str] | None:
    """Return status and reason of a refused call, None for an accepted one."""
    try:
        await call
    except ApiError as error:
        return error.status, error.reason
    return None


INVALID, CONFLICT, NOT_FOUND = (422, "Invalid"), (409, "Conflict"), (404, "NotFound")
TAKEN, BAD_REQUEST, EXPIRED = (409, "AlreadyExists"), (400, "BadRequest"), (410, "Expired")
UNKNOWN = 'AgentRun in version "v1alpha1" cannot be handled as a AgentRun: strict decoding error: unknown field "spec.nonsense"'


def new_name(prefix: str = "case") -> str:
    return f"{prefix}-{next(_numbers)}"


def run(api: ApiServer, name: str = "", **spec: Any) -> Object:
    return {
        "apiVersion": api.runs.api_version,
        "kind": api.runs.kind,
        "metadata": {"name": name or new_name()},
        "spec": {"agentRef": "absent", "task": "hello"} | spec,
    }


def config_map(name: str = "", labels: dict[str, str] | None = None, **data: str) -> Object:
    metadata = {"name": name or new_name()} | ({"labels": labels} if labels else {})
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}


async def made(api: ApiServer, kind: ResourceType, body: Object) -> Object:
    return await api.client.create(kind, api.namespace, body)


async def current(api: ApiServer, kind: ResourceType, body: Object) -> Object:
    return await api.client.get(kind, api.namespace, body["metadata"]["name"])


async def merged(api: ApiServer, kind: ResourceType, body: Object, patch: Object, **how: Any) -> Object:
    return await api.client.patch(kind, api.namespace, body["metadata"]["name"], patch, **how)


async def with_status(api: ApiServer, body: Object, **status: Any) -> Object:
    return await merged(api, api.runs, body, {"status": status}, subresource="status")


def version(body: Object) -> str:
    found: str = body["metadata"]["resourceVersion"]
    return found
