"""Logs: one shape for our lines and those of libraries, and no exception's words in them."""

import json
import subprocess
import sys

from sympozium_api.logs import run_fields
from sympozium_api.run import AgentRun

SCRIPT = """
import logging, structlog
from sympozium_api import logs
logs.configure(namespace="team", instance="alice")
log = structlog.get_logger()
log.info("request", run="r1")
log.debug("nobody sees this")
logging.getLogger("uvicorn.error").warning("a library's %s", "warning")
try:
    int("a prompt")
except ValueError:
    log.exception("reconcile failed")
    logging.getLogger("uvicorn.error").exception("Exception in ASGI application")
"""


def test_every_line_is_json_with_the_same_fields_and_without_an_exceptions_words() -> None:
    printed = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True).stdout
    ours, library, bug, librarys_bug = (json.loads(line) for line in printed.splitlines())
    for line in (ours, library, bug, librarys_bug):
        assert {"event", "level", "timestamp"} < set(line)
        assert (line["namespace"], line["instance"]) == ("team", "alice")
    assert (ours["event"], ours["level"], ours["run"]) == ("request", "info", "r1")
    assert (library["event"], library["level"], library["logger"]) == (
        "a library's warning",
        "warning",
        "uvicorn.error",
    )
    for line in (bug, librarys_bug):
        assert line["level"] == "error"
        assert line["error"] == "ValueError"
        assert line["stack"][-1].endswith(":10 <module>")
    assert "a prompt" not in printed


def test_lines_about_a_run_are_found_by_its_names() -> None:
    notes = {
        "sympozium.ai/key-id": "api-key-alice",
        "sympozium.ai/request-id": "req_1",
        "sympozium.ai/traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    }
    run = AgentRun.model_validate(
        {
            "apiVersion": "sympozium.ai/v1alpha1",
            "kind": "AgentRun",
            "metadata": {"name": "r1", "namespace": "team", "annotations": notes},
            "spec": {"agentRef": "alice", "task": "a prompt"},
        }
    )
    assert run_fields(run) == {
        "namespace": "team",
        "instance": "alice",
        "run": "r1",
        "key_id": "api-key-alice",
        "request_id": "req_1",
        "trace_id": "0af7651916cd43dd8448eb211c80319c",
    }
