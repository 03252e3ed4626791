"""Tools of an instance: its agent, its skills that have parameters, and the tools that get or cancel a run."""

from dataclasses import dataclass
from typing import Any

import jsonschema
from mcp_types import Tool, ToolAnnotations

from sympozium_api.installed_skills import InstalledSkill, instructions
from sympozium_api.instance import SympoziumInstance
from sympozium_webproxy.protocol.mcp.results import RUN_SCHEMA
from sympozium_webproxy.protocol.mcp.skill_names import by_name

Schema = dict[str, Any]

ASK_AGENT, GET_RUN, CANCEL_RUN = "ask_agent", "get_run", "cancel_run"
MAX_WAIT_SECONDS = 50
"""Below the 60 s after which the official clients abandon a call."""

_TEXT: Schema = {"type": "string", "minLength": 1, "pattern": r"\S"}
_RUN: Schema = _TEXT | {"description": "Name of the run, as returned by an earlier call.", "maxLength": 63}
_READS = ToolAnnotations(read_only_hint=True, open_world_hint=False)
_RUNS_AGENT = ToolAnnotations(read_only_hint=False, destructive_hint=False, idempotent_hint=False, open_world_hint=True)
_CANCELS = ToolAnnotations(read_only_hint=False, destructive_hint=True, idempotent_hint=True, open_world_hint=False)


class UnknownTool(Exception):
    """A name that no tool has."""


class InvalidArguments(Exception):
    """Arguments that do not fit their tool's schema; the message says which, and why."""


@dataclass(frozen=True)
class Ask:
    """Call that creates a run with this prompt."""

    prompt: str


@dataclass(frozen=True)
class GetRun:
    """Call that returns the state of a run, after waiting for its end up to ``wait_seconds``."""

    run: str
    wait_seconds: float


@dataclass(frozen=True)
class CancelRun:
    """Call that cancels a run."""

    run: str


ToolCall = Ask | GetRun | CancelRun


def listing(instance: SympoziumInstance, skills: tuple[InstalledSkill, ...]) -> list[Tool]:
    """Return all tools."""
    return [_ask_agent(instance), *map(_skill_tool, _with_tool(skills), _with_tool(skills).values()), _GET, _CANCEL]


def input_schema(name: str, skills: tuple[InstalledSkill, ...]) -> Schema | None:
    """Return the schema of a tool's arguments; None if no tool has this name."""
    if name in _FIXED:
        return _FIXED[name]
    skill = _with_tool(skills).get(name)
    return _skill_schema(skill) if skill else None


def parse_call(name: str, given: dict[str, Any], skills: tuple[InstalledSkill, ...]) -> tuple[ToolCall, list[str]]:
    """Return the parsed call of a tool, and the names of arguments that it does not have. Raises UnknownTool and InvalidArguments.

    Some clients add arguments of their own to every call, and models write null for an optional argument.

    """
    schema = input_schema(name, skills)
    if schema is None:
        raise UnknownTool(name)
    known, required = schema["properties"], schema["required"]
    arguments = {n: value for n, value in given.items() if n in known and (value is not None or n in required)}
    _check(arguments, schema)
    return _call(name, arguments, skills), [n for n, value in given.items() if n not in known and value is not None]


def _call(name: str, arguments: dict[str, Any], skills: tuple[InstalledSkill, ...]) -> ToolCall:
    if name == ASK_AGENT:
        context = arguments.get("context")
        return Ask(f"{arguments['task']}\n\nContext:\n{context}" if context else arguments["task"])
    if name == GET_RUN:
        return GetRun(arguments["run"], arguments.get("wait_seconds", 0))
    if name == CANCEL_RUN:
        return CancelRun(arguments["run"])
    try:
        return Ask(instructions(_with_tool(skills)[name], arguments))
    except ValueError as error:
        raise InvalidArguments(str(error)) from None


def _check(arguments: dict[str, Any], schema: Schema) -> None:
    error = jsonschema.exceptions.best_match(jsonschema.Draft202012Validator(schema).iter_errors(arguments))
    if error is None:
        return
    path = ".".join(map(str, error.path))
    empty = error.validator in ("minLength", "pattern")
    reason = (
        "must not be empty" if empty else error.message if len(error.message) <= 200 else f"breaks {error.validator!r}"
    )
    raise InvalidArguments(f"{path}: {reason}" if path else reason)


def _with_tool(skills: tuple[InstalledSkill, ...]) -> dict[str, InstalledSkill]:
    return {name: s for name, s in by_name(skills).items() if s.parameters and name not in _FIXED}


def _ask_agent(instance: SympoziumInstance) -> Tool:
    name, spec = instance.metadata.name, instance.spec
    return Tool(
        name=ASK_AGENT,
        title=f"Ask {spec.title or name}",
        description=f"Give a task to the agent {name!r} and get its answer. {spec.description or ''}".strip(),
        input_schema=_ASK_SCHEMA,
        output_schema=RUN_SCHEMA,
        annotations=_RUNS_AGENT,
    )


def _skill_tool(name: str, skill: InstalledSkill) -> Tool:
    return Tool(
        name=name,
        title=skill.name,
        description=skill.description or f"Let the agent follow its instructions {skill.name!r}.",
        input_schema=_skill_schema(skill),
        output_schema=RUN_SCHEMA,
        annotations=_RUNS_AGENT,
    )


def _skill_schema(skill: InstalledSkill) -> Schema:
    properties = {
        parameter.name: {"type": "string"}
        | ({"description": parameter.description} if parameter.description else {})
        | ({"default": parameter.default} if parameter.default is not None else {"minLength": 1})
        for parameter in skill.parameters
    }
    required = [parameter.name for parameter in skill.parameters if parameter.default is None]
    return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}


_ASK_SCHEMA: Schema = {
    "type": "object",
    "properties": {
        "task": _TEXT | {"description": "Task of the agent, in plain words."},
        "context": {"type": "string", "description": "Context of the task, such as a text to work on."},
    },
    "required": ["task"],
    "additionalProperties": False,
}
_GET_SCHEMA: Schema = {
    "type": "object",
    "properties": {
        "run": _RUN,
        "wait_seconds": {
            "type": "number",
            "minimum": 0,
            "maximum": MAX_WAIT_SECONDS,
            "default": 0,
            "description": "Seconds to wait for the run's end before its current state is returned.",
        },
    },
    "required": ["run"],
    "additionalProperties": False,
}
_CANCEL_SCHEMA: Schema = {
    "type": "object",
    "properties": {"run": _RUN},
    "required": ["run"],
    "additionalProperties": False,
}
_FIXED = {ASK_AGENT: _ASK_SCHEMA, GET_RUN: _GET_SCHEMA, CANCEL_RUN: _CANCEL_SCHEMA}
_GET = Tool(
    name=GET_RUN,
    title="Get a run",
    description="Return the state of a run of this API key, with its answer once it has ended.",
    input_schema=_GET_SCHEMA,
    output_schema=RUN_SCHEMA,
    annotations=_READS,
)
_CANCEL = Tool(
    name=CANCEL_RUN,
    title="Cancel a run",
    description="Cancel a run of this API key; an ended run stays as it is.",
    input_schema=_CANCEL_SCHEMA,
    output_schema=RUN_SCHEMA,
    annotations=_CANCELS,
)
