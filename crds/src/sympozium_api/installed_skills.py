"""The skills of an instance, as the operator gathers them for its agents and its web-proxy."""

import re
from collections.abc import Mapping
from typing import Any

from pydantic import TypeAdapter, ValidationError

from sympozium_api.base import ApiModel
from sympozium_api.skillpack import Parameter

DOCUMENT = "skills.json"
"""The data key of the ConfigMap ``names.installed_skills`` that holds what ``render`` made."""

_PLACEHOLDER = re.compile(r"\{\{ *([^{}]+?) *\}\}")


class InstalledSkill(ApiModel):
    """One skill of one instance: a skill of a SkillPack, with the instance's params as its parameters' defaults."""

    name: str
    """Its name, unique in the instance."""
    description: str | None = None
    """When to use it."""
    content: str
    """The instructions, in Markdown; ``{{name}}`` stands for the value of the parameter of that name."""
    parameters: list[Parameter] = []
    """What a caller may set; one without a default must be set."""


_SKILLS = TypeAdapter(list[InstalledSkill])


def parse(document: str | bytes) -> list[InstalledSkill]:
    """The skills of a document that ``render`` made; raises pydantic's ValidationError."""
    return _SKILLS.validate_json(document)


def render(skills: list[InstalledSkill]) -> str:
    """The skills as the JSON document that the operator keeps for an instance."""
    return _SKILLS.dump_json(skills, by_alias=True, exclude_defaults=True).decode()


def of_config_map(body: Mapping[str, Any] | None) -> list[InstalledSkill] | None:
    """The skills in the ConfigMap that the operator keeps; None: it is not there, or not as the operator made it."""
    document = ((body or {}).get("data") or {}).get(DOCUMENT)
    try:
        return None if document is None else parse(document)
    except ValidationError:
        return None  # somebody edited it, and the operator is putting it right


def instructions(skill: InstalledSkill, arguments: Mapping[str, str]) -> str:
    """A skill's instructions for a caller who gives its parameters these values; where none is given, the default counts.

    Raises ValueError that names a parameter without a value. What is no parameter's name in braces stays as it is.
    """
    values = {parameter.name: arguments.get(parameter.name, parameter.default) for parameter in skill.parameters}
    for name, value in values.items():
        if value is None:
            raise ValueError(f"the skill {skill.name} needs a value for its parameter {name}")
    return _filled(skill.content, values)


def standing_instructions(skill: InstalledSkill) -> str:
    """A skill's instructions for the agent, before anybody calls it: a parameter without a default stays as it is written."""
    return _filled(skill.content, {parameter.name: parameter.default for parameter in skill.parameters})


def _filled(content: str, values: Mapping[str, str | None]) -> str:
    """In one pass, so that what looks like a placeholder in a value stays a value."""

    def value(found: re.Match[str]) -> str:
        known = values.get(found[1])
        return found[0] if known is None else known

    return _PLACEHOLDER.sub(value, content)
