"""The task of an agent pod, made of an AgentRun and its instance. Pure."""

from collections.abc import Mapping, Sequence
from typing import cast

from sympozium_api import effective, installed_skills, logs, model_params, model_targets, run_contents
from sympozium_api.agent_document import AgentDocument
from sympozium_api.agent_protocol import error_of, find_unsendable, write_task
from sympozium_api.agent_records import Error, Limits, ModelTarget, OfferedTool, Task, Tools, WarmupHints
from sympozium_api.effective_policy import EffectivePolicy
from sympozium_api.installed_skills import InstalledSkill
from sympozium_api.instance import SympoziumInstance
from sympozium_api.json_members import compact
from sympozium_api.json_text import TextError
from sympozium_api.model_targets import ModelsUnresolved
from sympozium_api.resolved_model import ResolvedModel
from sympozium_api.run import AgentRun
from sympozium_api.tool_policy import allows
from sympozium_api.trace_context import TraceContext
from sympozium_runs import run_bounds
from sympozium_runs.run_bounds import PolicyRefused

_SET_HERE = ("model", "stream", "stream_options")
"""Fields of a request that say who answers and how. The model is sent others: the model's name here, the stream's by the agent."""


class NotSupported(Exception):
    """The run or its instance asks for something that cannot be sent to a model; the message says what."""


FAILURES = (NotSupported, ModelsUnresolved, PolicyRefused, TextError)
"""Reasons why a run has no task."""


def end_of(failure: Exception) -> Error:
    """Return the end record of a run that has no task for one of FAILURES."""
    match failure:
        case ModelsUnresolved():
            return error_of("model_not_ready", str(failure), 503)
        case PolicyRefused():
            return error_of("policy_denied", str(failure), 403)
        case TextError():
            return error_of("task_refused", str(failure), 400)
        case _:
            return error_of("unsupported_parameter", str(failure), 400)


def build(
    run: AgentRun,
    instance: SympoziumInstance,
    installed: Sequence[InstalledSkill] = (),
    document: AgentDocument | None = None,
    *,
    seconds_left: float,
) -> Task:
    """Return the task of a run in mode task. Raises NotSupported, ModelsUnresolved, PolicyRefused and TextError.

    ``installed`` are the instance's skills, ``document`` has its tools, models and policies; None: it has none.
    """
    run, instance = run_bounds.bounded(run, instance, document)
    first, *fallbacks = model_targets.of_run(run, instance, document)
    agent = instance.spec.agents.default
    trace = TraceContext.of_annotations(run.metadata.annotations)
    headers = trace.headers if trace else {}

    def target(model: ResolvedModel) -> ModelTarget:
        is_elsewhere = model_targets.is_elsewhere(model, instance, document)
        return _target(model, ({} if is_elsewhere else agent.provider_headers) | headers, run)  # they may hold a key

    task: Task = {
        "run": run.metadata.name,
        "request": _request(run, instance, installed, first.base_url, document.policy if document else None)
        | {"model": compact(first.name)},
        "model": target(first),
        "env": agent.env,
        "timeoutSeconds": seconds_left,
        "log": logs.run_fields(run),
    }
    if fallbacks:
        task["model"] |= {"title": first.title}
        task["fallbacks"] = [{**target(model), "name": model.name, "title": model.title} for model in fallbacks]
    return {**task, **_tools(run, document)} if document else task


def _target(model: ResolvedModel, headers: Mapping[str, str], run: AgentRun) -> ModelTarget:
    """Return a model as the agent calls it; ``headers`` win over the Provider's own. Raises NotSupported."""
    name = find_unsendable(headers)
    if name is not None:
        raise NotSupported(
            f"spec.agents.default.providerHeaders: {name!r} cannot be sent, because HTTP allows printable ASCII only"
        )
    field = _address_field(run) if model.ref is None else f"spec.apiBase of the Provider {model.ref}"
    target: ModelTarget = {
        "baseURL": model.base_url,
        "headers": {**model.headers, **headers},
        "provider": model.provider,
        "field": field,
    }
    if model.folder is not None:
        target |= {"key": model.folder, "title": model.title}
    if model.api_version is not None:
        target["apiVersion"] = model.api_version
    return target


def _tools(run: AgentRun, document: AgentDocument) -> Tools:
    """Return the tools that the run's policy allows, with the limits; nothing if it allows none."""
    offered = [tool for tool in document.tools if allows(run.spec.tool_policy, tool.function)]
    if not offered:
        return {}
    tools = [cast("OfferedTool", tool.model_dump(by_alias=True, exclude_none=True)) for tool in offered]
    return {"tools": tools, "limits": cast("Limits", document.limits.model_dump(by_alias=True, exclude_none=True))}


def content(
    run: AgentRun,
    instance: SympoziumInstance,
    installed: Sequence[InstalledSkill],
    document: AgentDocument | None = None,
    *,
    headers: Mapping[str, str],
    surface: str | None,
) -> bytes:
    """Return the task as a pod gets it, with the caller's headers for the model. Raises FAILURES.

    ``surface``: URL of the agent API that an idle pod is to send its records to; None where the pod knows it.
    """
    bounded_run, bounded_instance = run_bounds.bounded(run, instance, document)
    seconds_left = float(effective.timeout(bounded_instance, bounded_run))
    task = build(run, instance, installed, document, seconds_left=seconds_left)
    first = task["model"]
    for target in (first, *task.get("fallbacks", ())):
        if target["baseURL"] == first["baseURL"]:  # another server is not sent what callers meant for this one
            target["headers"] = {**headers, **target["headers"]}  # the instance's own headers win
    if surface:
        task["surface"] = surface
    return write_task(task).encode()


def _address_field(run: AgentRun) -> str:
    own = run.spec.model is not None and run.spec.model.base_url is not None
    return "spec.model.baseURL of the run" if own else "spec.agents.default.baseURL"


def warmup_hints(instance: SympoziumInstance, document: AgentDocument | None = None) -> WarmupHints:
    """Return what the tasks of all runs without a model of their own have in common. Raises ModelsUnresolved."""
    model = model_targets.of_instance(instance, document)[0]
    env = instance.spec.agents.default.env
    hints: WarmupHints = {"baseURL": model.base_url, "env": env, "provider": model.provider}
    return {**hints, "tools": True} if document and document.tools else hints


def _request(
    run: AgentRun,
    instance: SympoziumInstance,
    installed: Sequence[InstalledSkill],
    base_url: str,
    policy: EffectivePolicy | None = None,
) -> dict[str, str]:
    members = {name: text for name, text in run_contents.request_members(run).items() if name not in _SET_HERE}
    own = run.spec.system_prompt  # "" means that the run has none
    prompt = _system_prompt(instance.spec.memory.system_prompt if own is None else own, installed)
    agent, chat = instance.spec.agents.default, "messages" in members or "prompt" not in members
    if prompt and not chat:
        raise NotSupported("a completion of a prompt has no place for the system prompt")
    messages = members.pop("messages", "[]")
    ceiling = run_bounds.answer_ceiling(policy, agent.max_tokens, members)
    params = agent.params if run.spec.params is None else run.spec.params
    members = model_params.complete(members, params, ceiling, chat=chat, base_url=base_url)
    run_bounds.refuse_other_models(policy, members)
    if not chat:
        return members
    if not messages.startswith("["):
        raise NotSupported("the request's messages are not a list")
    # Written last, because some servers take the last of several names that they hold for equal.
    return members | {"messages": _prefixed(prompt, messages) if prompt else messages}


def _prefixed(prompt: str, messages: str) -> str:
    """Return the text of a list of messages with a system message before them."""
    message, rest = compact({"role": "system", "content": prompt}), messages[1:].lstrip(" \t\r\n")
    return f"[{message}{'' if rest == ']' else ','}{rest}"


def _system_prompt(prompt: str | None, installed: Sequence[InstalledSkill]) -> str:
    """Return the prompt and each skill under its heading, in one message because some models accept no second system message."""
    parts = [prompt]
    for skill in installed:
        try:
            text = installed_skills.standing_instructions(skill)
        except ValueError as error:
            raise NotSupported(str(error)) from None
        parts += [f"# Skill: {skill.name}", skill.description, text]
    return "\n\n".join(part for part in parts if part)
