"""Processes of the console's benches: an API server in memory with objects in it, and a console in front of it.

``python -m tests.bench.index_processes FOLDER runs 20000 100`` is the one, with ended and open runs, ``FOLDER callers 1000 10000`` too,
with instances and API keys; ``FOLDER console URL`` the other, with an archive if the URL of a database follows. Each writes its URL into
``FOLDER/url`` once it listens.
"""

import asyncio
import hashlib
import hmac
import logging
import sys
from collections import Counter
from pathlib import Path

import uvloop
from tests.fakes.api_server import ApiServer, listening
from tests.fakes.kubernetes import FakeKubernetes

from sympozium_api import environment, names
from sympozium_api.client import ApiConnection, Client
from sympozium_api.clock import SystemClock
from sympozium_api.resources import API_KEYS, INSTANCES, RUNS, Object
from sympozium_api.retention import Retention
from sympozium_archive.database_settings import DatabaseSettings, parse_url
from sympozium_console.console_app import create_app
from sympozium_console.console_context import assemble
from sympozium_console.console_database import open_database
from sympozium_console.console_loops import supervised
from sympozium_console.console_metrics import ConsoleMetrics
from sympozium_console.console_settings import ArchiveSettings, ConsoleSettings

_ANSWER = "x" * 4096
_PHASES = ("Succeeded", "Succeeded", "Succeeded", "Failed", "Cancelled")
_SOURCES = ("web-proxy", "mcp", "api", "schedule")
_MANAGERS = [{"manager": "web-proxy", "operation": "Update", "fieldsV1": {f"f:field-{i}": {} for i in range(40)}}]
"""As long as those of a real run."""
_OWNER = {"apiVersion": names.API_VERSION, "kind": "SympoziumInstance"}
OPEN_RUNS = 100
_PEPPER = "p" * 32
_YEARS = 100 * 365 * 86_400
_KEEP_ALL = Retention(longest=_YEARS, shortest=_YEARS, key=_YEARS, kept=10**6, at_most=10**6, stored_bytes=2**40)


def ended_run(number: int) -> Object:
    """Return an ended run as web-proxies and operator leave it."""
    second = f"2026-01-01T{number // 3600 % 24:02}:{number // 60 % 60:02}:{number % 60:02}"
    instance = f"agent-{number % 20}"
    return {
        "apiVersion": names.API_VERSION,
        "kind": RUNS.kind,
        "metadata": {
            "name": f"{instance}-{number:08x}",
            "namespace": f"team-{number % 5}",
            "uid": f"00000000-0000-4000-8000-{number:012x}",
            "creationTimestamp": f"{second}Z",
            "labels": {names.LABEL_SOURCE: _SOURCES[number % 4], names.LABEL_INSTANCE: instance},
            "annotations": {
                names.ANNOTATION_KEY_ID: f"api-key-{number % 50}",
                names.ANNOTATION_ACCEPTED_AT: f"{second}.250000Z",
                names.ANNOTATION_REQUEST_ID: f"{number:032x}",
                names.ANNOTATION_REQUEST_HASH: f"{number:064x}",
            },
            "ownerReferences": [_OWNER | {"name": instance, "uid": f"i-{number % 20}"}],
            "managedFields": _MANAGERS,
        },
        "spec": {"agentRef": instance, "mode": "task", "requestText": {"json": "{}", "bytes": 2}},
        "status": {
            "phase": _PHASES[number % 5],
            "start": "warm" if number % 3 else "cold",
            "startedAt": f"{second}Z",
            "completedAt": f"{second}Z",
            "times": {"firstTokenAt": f"{second}.500000Z", "endedAt": f"{second}.900000Z"},
            "model": f"model-{number % 3}",
            "result": _ANSWER,
            "tokenUsage": {"inputTokens": number % 900, "outputTokens": number % 300, "toolCalls": 0},
            **({"error": {"type": "timeout", "message": "late", "httpStatus": 504}} if number % 5 == 3 else {}),
        },
    }


def open_run(number: int) -> Object:
    """Return a run that has not begun."""
    metadata = {"name": f"open-{number}", "namespace": "default"}
    spec = {"agentRef": "demo", "task": "x"}
    return {"apiVersion": names.API_VERSION, "kind": RUNS.kind, "metadata": metadata, "spec": spec}


WATCHES = "/watches"
"""Path of a document with the number of open watches, by the plural of their kind."""


class _CountedWatches(FakeKubernetes):
    async def raw(self, path: str) -> Object:
        if path == WATCHES:
            return dict(Counter(watch.plural for watch in self._watches))
        return await super().raw(path)


async def api_server(folder: Path, runs: int, open_runs: int) -> None:
    """Serve so many ended and open runs, and write the URL into a file."""
    kubernetes = _CountedWatches()
    kubernetes.documents["/version"] = {"gitVersion": "fake"}
    for number in range(runs):
        body = ended_run(number)
        kubernetes._store((RUNS.plural, body["metadata"]["namespace"], body["metadata"]["name"]), body)
    for number in range(open_runs):
        kubernetes.put(open_run(number))
    await _serve(folder, kubernetes)


async def api_server_of_callers(folder: Path, instances: int, keys: int) -> None:
    """Serve so many instances and API keys, and write the URL into a file."""
    kubernetes = FakeKubernetes()
    kubernetes.documents["/version"] = {"gitVersion": "fake"}
    for kind, bodies in ((INSTANCES, map(_instance, range(instances))), (API_KEYS, map(_api_key, range(keys)))):
        for body in bodies:
            kubernetes._store((kind.plural, body["metadata"]["namespace"], body["metadata"]["name"]), body)
    await _serve(folder, kubernetes)


def key_text(number: int) -> str:
    """Return the text of a key."""
    return f"sym_{number:064x}"


def key_name(number: int) -> str:
    """Return the name of a key's object, in namespace ``default``."""
    return f"key-{number}"


def _api_key(number: int) -> Object:
    digest = hmac.new(_PEPPER.encode(), key_text(number).encode(), hashlib.sha256).hexdigest()
    spec = {"name": f"key {number}", "digest": digest, "prefix": "sym_00000000", "user": f"user-{number}"}
    return {
        "apiVersion": API_KEYS.api_version,
        "kind": API_KEYS.kind,
        "metadata": _metadata(key_name(number)) | {"labels": {names.LABEL_ID: f"id-{number}"}},
        "spec": spec | {"scopes": ["operator.read"], "createdBy": "bench"},
    }


def _instance(number: int) -> Object:
    agent = {"model": "model", "baseURL": "http://model.test/v1"}
    status = {
        "phase": "Running",
        "conditions": [{"type": "Ready", "status": "True", "reason": "Ready", "message": "-"}],
    }
    return {
        "apiVersion": INSTANCES.api_version,
        "kind": INSTANCES.kind,
        "metadata": _metadata(f"agent-{number}") | {"managedFields": _MANAGERS},
        "spec": {"agents": {"default": agent}, "memory": {"systemPrompt": "Be brief. " * 20}},
        "status": status,
    }


def _metadata(name: str) -> Object:
    return {
        "name": name,
        "namespace": "default",
        "uid": f"u-{name}",
        "creationTimestamp": "2026-01-01T00:00:00Z",
    }


async def _serve(folder: Path, kubernetes: FakeKubernetes) -> None:
    async with listening(ApiServer(kubernetes).app()) as url:
        _tell(folder, url)
        await asyncio.Event().wait()


def _tell(folder: Path, url: str) -> None:
    (folder / "url.new").write_text(url)
    (folder / "url.new").rename(folder / "url")


async def console(folder: Path, api_server_url: str, database_url: str = "") -> None:
    """Serve a console, with its loops. With an archive it prunes nothing."""
    (folder / "token").write_text("secret")
    (folder / "keys").mkdir()
    (folder / "keys" / environment.API_KEY_PEPPER).write_text(_PEPPER)
    archive = ArchiveSettings(DatabaseSettings(parse_url(database_url)), _KEEP_ALL) if database_url else None
    settings = ConsoleSettings("sympozium-system", tokens=folder, keys=folder / "keys", scratch=folder, archive=archive)
    metrics = ConsoleMetrics()
    database = await open_database(settings, metrics.observe_statement)
    async with Client.connect(ApiConnection(api_server_url, ssl=False)) as client:
        context = assemble(client, settings, SystemClock(), database, metrics)
        async with listening(create_app(context)) as url, asyncio.TaskGroup() as loops:
            for loop in supervised(context):
                loops.create_task(loop())
            _tell(folder, url)


async def main(folder: str, role: str, what: str, more: str = "") -> None:
    """Be one of the processes."""
    if role == "console":
        await console(Path(folder), what, more)
    elif role == "callers":
        await api_server_of_callers(Path(folder), int(what), int(more))
    else:
        await api_server(Path(folder), int(what), int(more or 0))


if __name__ == "__main__":
    logging.basicConfig(level=logging.WARNING)
    uvloop.run(main(*sys.argv[1:5]))
