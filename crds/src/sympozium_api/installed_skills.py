"""The skills of an instance, which the operator gathers for the instance's agents and web-proxy."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import TypeAdapter, ValidationError

from sympozium_api.base import ApiModel
from sympozium_api.skillpack import Parameter, SkillPack

DOCUMENT = "skills.json"
"""Data key of the ConfigMap ``names.installed_skills`` that holds the document of ``render``."""

MOST_CHARACTERS = 1024 * 1024
"""Longest instructions with their values: a placeholder of five characters may stand for a value of a megabyte."""
_PLACEHOLDER = re.compile(r"\{\{([^{}]++)\}\}")
"""A name in double braces, with blanks around it or without: a pattern that named these would take cubic time for many of them."""


class InstalledSkill(ApiModel):
    """One skill of one instance: a skill of a SkillPack, with the instance's params as its parameters' defaults."""

    name: str
    """Name of the skill, unique in the instance."""
    description: str | None = None
    """Situations in which to use the skill."""
    content: str
    """Instructions in Markdown; ``{{name}}`` is replaced by the value of the parameter of that name."""
    parameters: list[Parameter] = []
    """Parameters that a caller may set, and must set if they have no default."""


_SKILLS = TypeAdapter(list[InstalledSkill])


def parse(document: str | bytes) -> list[InstalledSkill]:
    """Parse a document of ``render``. Raises pydantic's ValidationError."""
    return _SKILLS.validate_json(document)


def render(skills: list[InstalledSkill]) -> str:
    """Return the skills as the JSON document that the operator stores for an instance."""
    return _SKILLS.dump_json(skills, by_alias=True, exclude_defaults=True).decode()


def of_config_map(body: Mapping[str, Any] | None) -> list[InstalledSkill] | None:
    """Return the skills in the operator's ConfigMap; None: it does not exist, or is not as the operator wrote it."""
    document = ((body or {}).get("data") or {}).get(DOCUMENT)
    try:
        return None if document is None else parse(document)
    except ValidationError:
        return None  # edited by hand; the operator is about to restore it


def of_pack(pack: SkillPack, params: Mapping[str, str]) -> Iterator[InstalledSkill]:
    """Yield the skills of a SkillPack for an instance that sets these params."""
    parameters = [
        parameter.model_copy(update={"default": params.get(parameter.name, parameter.default)})
        for parameter in pack.spec.parameters
    ]
    for skill in pack.spec.skills:
        yield InstalledSkill(
            name=skill.name,
            description=skill.description,
            content=skill.content,
            parameters=used(skill.content, parameters),
        )


def used(content: str, parameters: list[Parameter]) -> list[Parameter]:
    """Return the parameters that instructions have in double braces: those that somebody who calls the skill is asked for."""
    placeholders = {name.strip(" ") for name in _PLACEHOLDER.findall(content)}
    return [parameter for parameter in parameters if parameter.name in placeholders]


def instructions(skill: InstalledSkill, arguments: Mapping[str, str]) -> str:
    """Return a skill's instructions with these arguments, and with defaults for parameters that have none.

    Raises ValueError with the name of a parameter without a value, and for more than MOST_CHARACTERS. Braces around anything but a
    parameter's name stay.
    """
    values = {parameter.name: arguments.get(parameter.name, parameter.default) for parameter in skill.parameters}
    for name, value in values.items():
        if value is None:
            raise ValueError(f"the skill {skill.name} needs a value for its parameter {name}")
    return _filled(skill, values)


def standing_instructions(skill: InstalledSkill) -> str:
    """Return a skill's instructions for the agent's system prompt; a parameter without a default stays in braces.

    Raises ValueError for more than MOST_CHARACTERS.
    """
    return _filled(skill, {parameter.name: parameter.default for parameter in skill.parameters})


def _filled(skill: InstalledSkill, values: Mapping[str, str | None]) -> str:
    """Replace placeholders in one pass, so that a value that looks like a placeholder stays a value."""
    size = len(skill.content)

    def value(placeholder: re.Match[str]) -> str:
        nonlocal size
        known = values.get(placeholder[1].strip(" "))
        text = placeholder[0] if known is None else known
        size += len(text) - len(placeholder[0])
        if size > MOST_CHARACTERS:
            raise ValueError(f"the skill {skill.name} has more than {MOST_CHARACTERS} characters with these values")
        return text

    return _PLACEHOLDER.sub(value, skill.content)
