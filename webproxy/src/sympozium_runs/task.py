"""What a pod is told to do: an AgentRun and its instance, turned into a task. Pure."""

from typing import Any

from sympozium_api import effective, logs
from sympozium_api.instance import SympoziumInstance
from sympozium_api.records import Task
from sympozium_api.run import AgentRun
from sympozium_api.trace import TraceContext

_OURS = ("stream", "stream_options")
"""Fields of a request that say how the caller is answered, not what the model is asked."""


class NoPlace(Exception):
    """The run asks for what cannot be told to the model together with what the instance always says."""


def build(run: AgentRun, instance: SympoziumInstance, *, seconds_left: float) -> Task:
    """The task of a run in mode task. Raises NoPlace."""
    model = effective.model(instance, run)
    agent = instance.spec.agents.default
    trace = TraceContext.of_annotations(run.metadata.annotations)
    return {
        "run": run.metadata.name,
        "request": _request(run, instance) | {"model": model.name},
        "model": {"baseURL": model.base_url, "headers": agent.provider_headers | (trace.headers if trace else {})},
        "env": agent.env,
        "timeoutSeconds": seconds_left,
        "log": logs.about(run),
    }


def _request(run: AgentRun, instance: SympoziumInstance) -> dict[str, Any]:
    asked = run.spec.request or {"messages": [{"role": "user", "content": run.spec.task}]}
    about = {name: value for name, value in asked.items() if name not in _OURS}
    prompt = run.spec.system_prompt or instance.spec.memory.system_prompt
    if "messages" not in asked and "prompt" in asked:
        if prompt:
            raise NoPlace("a completion of a prompt has no place for the system prompt")
        return about
    messages = list(asked.get("messages", []))
    if prompt:
        messages.insert(0, {"role": "system", "content": prompt})
    return about | {"messages": messages}
