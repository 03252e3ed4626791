"""Content of a run as the archive keeps it, and whether it may be kept. Pure. Nothing here trusts a run, because tenants write runs."""

from typing import Any

from sympozium_api import run_contents
from sympozium_api.json_text import TextError
from sympozium_api.names import ANNOTATION_DISCARDED
from sympozium_api.run import AgentRun
from sympozium_api.terminal_status import record_of

Content = dict[str, Any]
"""``request``: an OpenAI-shaped body. ``systemPrompt``: the text that replaced the instance's. ``response``: the caller's parameters of
a response. ``answer``: the text. ``choices``: the whole answer in OpenAI's form, if text alone does not hold it. ``usage`` and
``about``: the rest of the answer. ``steps``: calls of the model and of tools, with arguments. ``error``: why the run did not succeed.
``unreadable``: the fields that could not be read, with the reason. What a run does not have is absent."""


def content_of(run: AgentRun) -> Content:
    """Return the content of a run whose texts were read from their parts."""
    unreadable = list[str]()
    content = {
        "request": _read(run_contents.request, run, unreadable) or _question(run),
        "systemPrompt": run.spec.system_prompt,
        "response": _read(run_contents.response, run, unreadable),
        "steps": [step.model_dump(by_alias=True, exclude_none=True) for step in run.status.steps or ()],
        "error": run.status.error and run.status.error.model_dump(by_alias=True, exclude_none=True),
        **_answer(run, unreadable),
        "unreadable": unreadable,
    }
    return {name: value for name, value in content.items() if value not in (None, [], {})}


def _question(run: AgentRun) -> Content | None:
    return None if run.spec.task is None else {"messages": [{"role": "user", "content": run.spec.task}]}


def _answer(run: AgentRun, unreadable: list[str]) -> Content:
    """Return the answer of a run that succeeded; {} of another one, whose error says why there is none."""
    if run.status.phase != "Succeeded":
        return {}
    end = record_of(run.status)
    if end["type"] == "error":
        unreadable.append(end["error"]["message"])
        return {"answer": run.status.result}
    message = end["choices"][0].get("message") or {}
    is_text = len(end["choices"]) == 1 and set(message) <= {"role", "content"}
    return {
        "answer": message.get("content"),
        "choices": None if is_text else end["choices"],
        "usage": end["usage"],
        "about": end.get("about"),
    }


def _read(read: Any, run: AgentRun, unreadable: list[str]) -> Content | None:
    try:
        content: Content = read(run)
    except TextError as error:
        unreadable.append(str(error))
        return None
    return content or None


def is_private(run: AgentRun) -> bool:
    """Return whether nothing of a run's content may be stored: its caller discarded it, or asked for ``store: false``.

    A response whose parameters cannot be read is private, because they may say so.
    """
    if ANNOTATION_DISCARDED in run.metadata.annotations:
        return True
    try:
        asked = run_contents.response(run).get("asked")
    except TextError:
        return True
    if isinstance(asked, dict) and asked.get("store") is False:
        return True
    try:
        return run_contents.request(run).get("store") is False
    except TextError:
        return False
