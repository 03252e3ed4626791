"""The skills of an instance, as the operator gathers them for its agents and its web-proxy."""

from pydantic import TypeAdapter

from sympozium_api.base import ApiModel
from sympozium_api.skillpack import Parameter


class InstalledSkill(ApiModel):
    """One skill of one instance: a skill of a SkillPack, with the instance's params as its parameters' defaults."""

    name: str
    """Its name, unique in the instance."""
    description: str | None = None
    """When to use it."""
    content: str
    """The instructions, in Markdown."""
    parameters: list[Parameter] = []
    """What a caller may set; one without a default must be set."""


_SKILLS = TypeAdapter(list[InstalledSkill])


def parse(document: str | bytes) -> list[InstalledSkill]:
    """The skills of a document that ``render`` made; raises pydantic's ValidationError."""
    return _SKILLS.validate_json(document)


def render(skills: list[InstalledSkill]) -> str:
    """The skills as the JSON document that the operator keeps for an instance."""
    return _SKILLS.dump_json(skills, by_alias=True, exclude_defaults=True).decode()
