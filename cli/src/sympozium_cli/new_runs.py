"""Runs as a user makes them: of a task, of a conversation, and once more as another one was. Pure but for random names."""

import secrets
from collections.abc import Sequence
from typing import Any

from sympozium_api.resources import RUNS, Object

_REPEATED = ("task", "request", "requestText", "systemPrompt", "model", "toolPolicy", "timeout")
"""Fields of a run's spec that make its question."""


def run_of_task(namespace: str, instance: str, task: str) -> Object:
    """Return a run with a question as plain text."""
    return _run(namespace, instance, {"task": task})


def run_of_messages(namespace: str, instance: str, messages: Sequence[Any], model: str = "") -> Object:
    """Return a run with a conversation in OpenAI's form. ``model``: one of the instance's; empty: its own."""
    chosen = {"model": {"model": model}} if model else {}
    return _run(namespace, instance, {"request": {"messages": list(messages)}} | chosen)


def repeated(run: Object) -> Object:
    """Return a new run with the question of another one. Raises ValueError with the reason if that is not possible."""
    spec = run["spec"]
    if spec.get("mode") == "server":
        raise ValueError("this run is the web endpoint of its instance; it has no question")
    if (spec.get("requestText") or {}).get("parts"):
        raise ValueError("its question is longer than a run holds; only the web endpoint takes it")
    question = {name: spec[name] for name in _REPEATED if name in spec}
    return _run(run["metadata"]["namespace"], spec["agentRef"], question)


def _run(namespace: str, instance: str, spec: Object) -> Object:
    return {
        "apiVersion": RUNS.api_version,
        "kind": RUNS.kind,
        "metadata": {"name": f"{instance}-{secrets.token_hex(6)}", "namespace": namespace},
        "spec": {"agentRef": instance, "mode": "task"} | spec,
    }
