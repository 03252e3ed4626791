"""Logs of this project's processes: one JSON object per line on standard output. Names, reasons and statuses; no content, no keys.

Each line has ``event``, ``level``, ``timestamp`` and, as far as they are known, ``namespace``, ``instance``, ``run``, ``key_id``,
``request_id`` and ``trace_id``. docs/guides/observability.md lists them. The agent writes lines of the same shape by itself.
"""

import logging
import sys
import traceback
from collections.abc import MutableMapping
from typing import Any

import structlog
from structlog.typing import Processor

from sympozium_api import names
from sympozium_api.run import AgentRun
from sympozium_api.trace_context import TraceContext


def configure(level: str = "info", **always: str) -> None:
    """Configure logging, once, at the process's start. ``always`` are fields of every line. Libraries' warnings get the same shape."""

    def with_always(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        return {**always, **event}

    shared: list[Processor] = [
        with_always,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    structlog.configure(
        processors=[*shared, without_messages, structlog.processors.JSONRenderer()],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
    )
    relay = logging.StreamHandler(sys.stdout)
    relay.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, structlog.stdlib.add_logger_name],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                without_messages,
                structlog.processors.JSONRenderer(),
            ],
        )
    )
    logging.basicConfig(handlers=[relay], level=logging.WARNING)


def run_fields(run: AgentRun) -> dict[str, str]:
    """Return the fields by which all processes' lines about a run can be found."""
    annotations = run.metadata.annotations
    trace = TraceContext.of_annotations(annotations)
    fields = {
        "namespace": run.metadata.namespace,
        "instance": run.spec.agent_ref,
        "run": run.metadata.name,
        "key_id": annotations.get(names.ANNOTATION_KEY_ID),
        "request_id": annotations.get(names.ANNOTATION_REQUEST_ID),
        "trace_id": trace.trace_id if trace else None,
    }
    return {name: value for name, value in fields.items() if value}


def without_messages(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Replace an exception by its class and places, because its message could quote a caller or the model."""
    failure = event.pop("exc_info", None)
    if failure is True:
        failure = sys.exc_info()
    if isinstance(failure, tuple):
        failure = failure[1]
    if isinstance(failure, BaseException):
        frames = traceback.extract_tb(failure.__traceback__)
        event["error"] = type(failure).__name__
        event["stack"] = [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames]
    return event
