"""A run until its end, and its answer. The answer comes from the run's status, because no token passes the API server before."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

from sympozium_api import names
from sympozium_api.client import ApiError, Change, Client, watch
from sympozium_api.json_text import JsonText, TextError
from sympozium_api.resources import RUN_PARTS, RUNS, Object
from sympozium_api.run_contents import json_object
from sympozium_api.run_status import TERMINAL_PHASES
from sympozium_cli.failures import Failure
from sympozium_cli.instance_states import phase_of


def has_ended(run: Object) -> bool:
    """Return true if a run has its terminal status."""
    return phase_of(run) in TERMINAL_PHASES


async def states(client: Client, namespace: str, name: str) -> AsyncGenerator[Object, None]:
    """Yield a run whenever it changes, its terminal status last. Raises Failure if it is deleted, ApiError and ApiUnavailable."""
    run = await client.get(RUNS, namespace, name)  # an API server that is away fails here; a watch would wait for it
    yield run
    if has_ended(run):
        return
    async with aclosing(watch(client, RUNS, namespace, fieldSelector=f"metadata.name={name}")) as changes:
        async for change in changes:
            gone = change.deleted if isinstance(change, Change) else not change.items
            if gone:
                raise Failure(f"the run {name} was deleted")
            state = change.object if isinstance(change, Change) else change.items[0]
            if state["metadata"]["resourceVersion"] != run["metadata"]["resourceVersion"]:
                run = state
                yield run
            if has_ended(run):
                return


async def cancel(client: Client, namespace: str, name: str) -> Object:
    """End a run, and return it. Raises Failure for one that has ended or is a web endpoint, ApiError and ApiUnavailable."""
    run = await client.get(RUNS, namespace, name)
    if run["spec"].get("mode") == "server":
        instance = run["spec"]["agentRef"]
        raise Failure(
            f"this run is the web endpoint of {instance}; switch it off: kubectl sympozium disable {instance}"
        )
    if has_ended(run):
        raise Failure(f"the run has ended already: {phase_of(run)}")
    return await client.patch(RUNS, namespace, name, {"spec": {"cancel": True}})


async def answer_of(client: Client, run: Object) -> str:
    """Return the text of a run's answer; of several choices the first. Raises Failure if a part of it is missing."""
    status = run.get("status") or {}
    if status.get("result") is not None:
        return str(status["result"])
    if not (answer := status.get("answer")):
        return ""
    try:
        text = await _whole(client, run, JsonText.model_validate(answer))
        choices = json_object(text.read("status.answer"), "status.answer").get("choices")
    except (TextError, ValueError) as error:
        raise Failure(f"the answer cannot be read: {error}") from error
    return _text_of(choices)


async def _whole(client: Client, run: Object, text: JsonText) -> JsonText:
    if text.parts is None:
        return text
    try:
        joined = await text_in_parts(client, run, text.sha256 or "", text.parts)
    except ApiError as error:
        if not error.not_found:
            raise
        return text
    return await asyncio.to_thread(text.joined, joined)


async def text_in_parts(client: Client, run: Object, digest: str, number: int) -> str:
    """Return a text of a run that is in so many AgentRunParts. Raises ApiError.not_found for a missing part, and ApiUnavailable."""
    uid, namespace = run["metadata"]["uid"], run["metadata"]["namespace"]
    keys = [names.run_part(run["spec"]["agentRef"], uid, digest, index) for index in range(number)]
    return "".join([(await client.get(RUN_PARTS, namespace, key))["spec"]["data"] for key in keys])


def _text_of(choices: Any) -> str:
    first = choices[0] if isinstance(choices, list) and choices else None
    if not isinstance(first, dict):
        return ""
    message = first.get("message")
    content = message.get("content") if isinstance(message, dict) else first.get("text")
    return content if isinstance(content, str) else ""


def error_of(run: Object) -> str:
    """Return why a run did not succeed, as one sentence; empty: it did, or has not ended."""
    error = (run.get("status") or {}).get("error") or {}
    if error:
        return f"{error.get('type')}: {error.get('message')}"
    return "it was cancelled" if phase_of(run) == "Cancelled" else ""


def waiting_for(run: Object) -> str:
    """Return what a run waits for, as a sentence; empty: not known."""
    status = run.get("status") or {}
    if phase_of(run) == "Running":
        return "the agent works"
    if place := status.get("queuePosition"):
        return f"place {place} in the queue"
    for condition in status.get("conditions") or ():
        if condition.get("type") == "Reconciling" and condition.get("reason") != "NotEnded":
            return str(condition.get("message") or "")
    return ""
