"""Ended runs as resources: ``sympozium://runs/<name>``."""

import json
import re
from typing import Any

from mcp_types import ReadResourceResult, Resource, ResourceTemplate, TextResourceContents

from sympozium_api import names, run_contents
from sympozium_api.base import Metadata
from sympozium_api.json_text import TextError
from sympozium_api.run import AgentRun
from sympozium_api.terminal_status import record_of
from sympozium_webproxy.protocol.mcp import results

_URI = re.compile(f"sympozium://runs/({names.DNS_LABEL})")
_JSON = "application/json"

TEMPLATE = ResourceTemplate(
    name="run",
    title="A run",
    uri_template="sympozium://runs/{name}",
    description="Task and result of a run.",
    mime_type=_JSON,
)


def run_of(uri: str) -> str | None:
    """Return the run that a URI names; None if it names none."""
    match = _URI.fullmatch(uri)
    return match[1] if match else None


def entry(run: Metadata) -> Resource:
    """Return an ended run as an entry of a listing, which has no contents: question and answer may take a megabyte."""
    return Resource(
        uri=_uri(run.name),
        name=run.name,
        title=f"Run of {run.creation_timestamp}",
        description="The task and the result of a run that has ended.",
        mime_type=_JSON,
    )


def read(run: AgentRun) -> ReadResourceResult:
    """Return a run's task, and its result in the form of a tool call's."""
    result = results.of_end(run.metadata.name, record_of(run.status)).structured_content or {}
    content: dict[str, Any] = result | {
        "task": _asked(run),
        "createdAt": run.metadata.creation_timestamp,
        "completedAt": run.status.completed_at,
    }
    text = json.dumps(content, ensure_ascii=False)
    return ReadResourceResult(
        contents=[TextResourceContents(uri=_uri(run.metadata.name), mime_type=_JSON, text=text)],
        ttl_ms=0,
        cache_scope="private",
    )


def _uri(name: str) -> str:
    return f"sympozium://runs/{name}"


def _asked(run: AgentRun) -> str:
    """Return the last text of the run's input."""
    if run.spec.task:
        return run.spec.task
    try:
        messages = run_contents.request(run).get("messages")
    except TextError:  # whoever may create runs may write anything
        return ""
    last = messages[-1] if isinstance(messages, list) and messages else {}
    content = last.get("content") if isinstance(last, dict) else None
    return content if isinstance(content, str) else ""
