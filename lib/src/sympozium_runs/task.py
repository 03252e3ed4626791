"""What a pod is told to do: an AgentRun and its instance, turned into a task. Pure."""

from collections.abc import Sequence
from typing import Any

from sympozium_api import effective, installed_skills, logs
from sympozium_api.agent_protocol import OPENAI_COMPAT, Task, WarmupHints
from sympozium_api.installed_skills import InstalledSkill
from sympozium_api.instance import SympoziumInstance
from sympozium_api.run import AgentRun
from sympozium_api.trace_context import TraceContext

_OURS = ("stream", "stream_options")
"""Fields of a request that say how the caller is answered, not what the model is asked."""


class NoPlace(Exception):
    """The run asks for what cannot be told to the model together with what the instance always says."""


def build(
    run: AgentRun, instance: SympoziumInstance, installed: Sequence[InstalledSkill] = (), *, seconds_left: float
) -> Task:
    """The task of a run in mode task; ``installed`` are the instance's skills. Raises NoPlace."""
    model = effective.model(instance, run)
    agent = instance.spec.agents.default
    trace = TraceContext.of_annotations(run.metadata.annotations)
    return {
        "run": run.metadata.name,
        "request": _request(run, instance, installed) | {"model": model.name},
        "model": {
            "baseURL": model.base_url,
            "headers": agent.provider_headers | (trace.headers if trace else {}),
            "provider": OPENAI_COMPAT,
        },
        "env": agent.env,
        "timeoutSeconds": seconds_left,
        "log": logs.run_fields(run),
    }


def prospect(instance: SympoziumInstance) -> WarmupHints:
    """What the tasks of runs that name no model of their own have in common."""
    env = instance.spec.agents.default.env
    return {"baseURL": effective.model(instance).base_url, "env": env, "provider": OPENAI_COMPAT}


def _request(run: AgentRun, instance: SympoziumInstance, installed: Sequence[InstalledSkill]) -> dict[str, Any]:
    asked = run.spec.request or {"messages": [{"role": "user", "content": run.spec.task}]}
    about = {name: value for name, value in asked.items() if name not in _OURS}
    prompt = _system_prompt(run.spec.system_prompt or instance.spec.memory.system_prompt, installed)
    if "messages" not in asked and "prompt" in asked:
        if prompt:
            raise NoPlace("a completion of a prompt has no place for the system prompt")
        return about
    messages = list(asked.get("messages", []))
    if prompt:
        messages.insert(0, {"role": "system", "content": prompt})
    return about | {"messages": messages}


def _system_prompt(prompt: str | None, installed: Sequence[InstalledSkill]) -> str:
    """One message, for there are models that take no second one: the prompt, then each skill under a heading of its own."""
    parts = [prompt]
    for skill in installed:
        parts += [f"# Skill: {skill.name}", skill.description, installed_skills.standing_instructions(skill)]
    return "\n\n".join(part for part in parts if part)
