"""The question of a run that is asked again, as a new run. Pure."""

import json
from dataclasses import replace

from sympozium_api import names
from sympozium_api.json_text import TextError
from sympozium_api.run import AgentRun
from sympozium_api.run_contents import request_members
from sympozium_console import refusals
from sympozium_console.new_run_body import ParsedRun
from sympozium_http.refusal import Refusal
from sympozium_openai import chat

_OWN_FIELDS = ("system_prompt", "params", "tool_policy", "parent")
"""Fields of a run's spec that no run of the console has, by which another run would give another answer."""
_OWN_MODEL_FIELDS = ("provider_ref", "provider", "base_url", "auth_secret_ref")


def question_of(run: AgentRun) -> ParsedRun:
    """Return what asks a run's question again, outside its session. Raises Refusal 409 for a run that cannot be repeated faithfully."""
    if run.spec.mode == "server":
        message = f"this run is the web endpoint of instance {run.spec.agent_ref}, and has no question"
        raise refusals.conflict(message, reason="ServerRun")
    _refuse_other_settings(run)
    if run.has_parts:
        raise _not_repeatable("its question is kept in AgentRunParts, because it is long; send it again yourself")
    try:
        members = request_members(run)
        text = ",".join(f"{json.dumps(name)}:{value}" for name, value in members.items())
        _, body = chat.parse(f"{{{text}}}".encode())
    except TextError as error:
        raise _not_repeatable(f"its question cannot be read: {error}") from error
    except Refusal as refusal:
        raise _not_repeatable(f"its question is no chat completion's body: {refusal.message}") from refusal
    again = ParsedRun(run.spec.agent_ref, body.value, body.text, run.spec.timeout, None)
    model = run.spec.model.model if run.spec.model else None
    if model is None or body.value.get("model") == model:
        return again
    return replace(again, chat=body.value | {"model": model}, chat_text=None)


def _refuse_other_settings(run: AgentRun) -> None:
    """Raise Refusal 409 for a run with settings that a repeated one would lack."""
    spec = run.spec
    own = [name for name in _OWN_FIELDS if getattr(spec, name) is not None]
    own += [f"model.{name}" for name in _OWN_MODEL_FIELDS if spec.model and getattr(spec.model, name) is not None]
    if own:
        raise _not_repeatable(
            f"it has settings of its own, which the console gives no run: {', '.join(map(_alias, own))}"
        )
    if names.ANNOTATION_FORWARDS in run.metadata.annotations:
        raise _not_repeatable("headers of its caller went to the model, and they are stored nowhere")


def _alias(path: str) -> str:
    words = path.replace("base_url", "baseURL").split("_")
    return "spec." + words[0] + "".join(word.capitalize() for word in words[1:])


def _not_repeatable(why: str) -> Refusal:
    return refusals.conflict(f"The run cannot be repeated: {why}.", reason="NotRepeatable")
