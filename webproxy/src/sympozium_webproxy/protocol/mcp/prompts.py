"""Skills of an instance as prompts."""

from mcp_types import GetPromptResult, Prompt, PromptArgument, PromptMessage, TextContent

from sympozium_api.installed_skills import InstalledSkill, instructions
from sympozium_webproxy.protocol.mcp.skill_names import by_name


class InvalidPrompt(Exception):
    """An unknown prompt, or arguments that do not fit it; the message says which."""


def listing(skills: tuple[InstalledSkill, ...]) -> list[Prompt]:
    """Return all prompts."""
    return [
        Prompt(name=name, title=skill.name, description=skill.description, arguments=_arguments(skill))
        for name, skill in by_name(skills).items()
    ]


def get(name: str, arguments: dict[str, str], skills: tuple[InstalledSkill, ...]) -> GetPromptResult:
    """Return a prompt with its arguments filled in. Raises InvalidPrompt."""
    skill = by_name(skills).get(name)
    if skill is None:
        raise InvalidPrompt(f"Unknown prompt: {name}")
    missing = [p.name for p in skill.parameters if p.default is None and not arguments.get(p.name)]
    if missing:
        raise InvalidPrompt(f"{name}: missing arguments: {', '.join(missing)}")
    try:
        text = TextContent(type="text", text=instructions(skill, arguments))
    except ValueError as error:
        raise InvalidPrompt(f"{name}: {error}") from None
    return GetPromptResult(description=skill.description, messages=[PromptMessage(role="user", content=text)])


def _arguments(skill: InstalledSkill) -> list[PromptArgument]:
    return [
        PromptArgument(name=p.name, description=p.description, required=p.default is None) for p in skill.parameters
    ]
