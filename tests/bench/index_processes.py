"""Processes of the bench of the index: an API server in memory with runs in it, and a console in front of it.

``python -m tests.bench.index_processes FOLDER runs 20000 100`` is the one, with ended and open runs; ``FOLDER console URL`` the other,
with an archive if the URL of a database follows. Each writes its URL into ``FOLDER/url`` once it listens.
"""

import asyncio
import logging
import sys
from pathlib import Path

import uvloop
from tests.fakes.api_server import ApiServer, listening
from tests.fakes.kubernetes import FakeKubernetes

from sympozium_api import names
from sympozium_api.client import ApiConnection, Client
from sympozium_api.clock import SystemClock
from sympozium_api.resources import RUNS, Object
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


async def api_server(folder: Path, runs: int, open_runs: int) -> None:
    """Serve so many ended and open runs, and write the URL into a file."""
    kubernetes = FakeKubernetes()
    kubernetes.documents["/version"] = {"gitVersion": "fake"}
    for number in range(runs):
        body = ended_run(number)
        kubernetes._store((RUNS.plural, body["metadata"]["namespace"], body["metadata"]["name"]), body)
    for number in range(open_runs):
        kubernetes.put(open_run(number))
    async with listening(ApiServer(kubernetes).app()) as url:
        _tell(folder, url)
        await asyncio.Event().wait()


def _tell(folder: Path, url: str) -> None:
    (folder / "url.new").write_text(url)
    (folder / "url.new").rename(folder / "url")


async def console(folder: Path, api_server_url: str, database_url: str = "") -> None:
    """Serve a console, with its loops. With an archive it prunes nothing."""
    (folder / "token").write_text("secret")
    archive = ArchiveSettings(DatabaseSettings(parse_url(database_url)), _KEEP_ALL) if database_url else None
    settings = ConsoleSettings("sympozium-system", tokens=folder, scratch=folder, archive=archive)
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
    else:
        await api_server(Path(folder), int(what), int(more or 0))


if __name__ == "__main__":
    logging.basicConfig(level=logging.WARNING)
    uvloop.run(main(*sys.argv[1:5]))
