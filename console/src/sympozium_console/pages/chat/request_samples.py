"""The request of a run as a program would send it to the management API: by curl, by Python. Pure."""

import json
import pprint
import shlex
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from markupsafe import Markup

from sympozium_api import session_annotations
from sympozium_api.json_members import DECODER
from sympozium_api.run import AgentRun
from sympozium_api.run_contents import request_members
from sympozium_console.pages.prose.code_colours import coloured
from sympozium_console.pages.prose.visible_signs import encodable, visible_in_html

_CURL = """\
curl -sS '{address}' \\
  -H "Authorization: Bearer $CONSOLE_TOKEN" \\
  -H 'Content-Type: application/json' -H 'Prefer: wait=600' \\
  -d {body}
"""
_PYTHON = """\
import json, os, urllib.request

body = {body}
request = urllib.request.Request(
    "{address}",
    data=json.dumps(body).encode(),
    headers={{
        "Authorization": f"Bearer {{os.environ['CONSOLE_TOKEN']}}",
        "Content-Type": "application/json",
        "Prefer": "wait=600",
    }},
)
with urllib.request.urlopen(request) as answer:
    print(json.load(answer)["status"]["result"])
"""
_WIDTH = 100


@dataclass(frozen=True)
class Sample:
    """A program that sends a request."""

    title: str
    text: str
    html: Markup


def body_of(run: AgentRun, session_key: str | None) -> dict[str, Any]:
    """Return the body that starts a run like this one. Raises TextError for a question that cannot be read.

    ``session_key``: None for a run whose conversation is somebody else's; its question then has the conversation before it.
    """
    request = {name: DECODER.decode(text) for name, text in request_members(run).items()}
    if session_key is not None and isinstance(request.get("messages"), list):
        request["messages"] = request["messages"][session_annotations.history_length(run.metadata.annotations) :]
    session = {} if session_key is None else {"sessionKey": session_key}
    return {"agentRef": run.spec.agent_ref, "request": request, **session}


def samples_of(body: dict[str, Any], base: str, namespace: str) -> list[Sample]:
    """Return programs that send a body. ``base``: address of the console."""
    address = f"{quote(base.rstrip('/'), safe=':/[]')}/api/v1/runs?namespace={namespace}"
    curl = _CURL.format(address=address, body=shlex.quote(json.dumps(body, ensure_ascii=False, indent=2)))
    python = _PYTHON.format(address=address, body=pprint.pformat(body, width=_WIDTH, sort_dicts=False))
    return [_sample("curl", curl, "bash"), _sample("Python", python, "python")]


def _sample(title: str, text: str, language: str) -> Sample:
    clean = encodable(text)
    return Sample(title, clean, Markup(visible_in_html(coloured(clean, language))))  # noqa: S704 - escaped by the formatter of code
