"""Skills with values of callers as MCP's prompts and tools: bounded, whatever a caller sends."""

import pytest

from sympozium_api.installed_skills import InstalledSkill
from sympozium_api.skillpack import Parameter
from sympozium_webproxy.protocol.mcp import prompts, tools

REPEATS = InstalledSkill(name="sql", content="{{db}}" * 10_000, parameters=[Parameter(name="db")])
VALUES = {"db": "x" * 1024 * 1024}


def test_values_that_make_instructions_too_long_are_wrong_arguments() -> None:
    with pytest.raises(prompts.InvalidPrompt, match="sql: the skill sql has more than 1048576 characters"):
        prompts.get("sql", VALUES, (REPEATS,))
    with pytest.raises(tools.InvalidArguments, match="the skill sql has more than 1048576 characters"):
        tools.parse_call("sql", VALUES, (REPEATS,))
