"""Installed skills: kept as a document, and told with their parameters' values."""

import pytest

from sympozium_api import installed_skills
from sympozium_api.installed_skills import InstalledSkill
from sympozium_api.skillpack import Parameter


def skill(content: str, **defaults: str | None) -> InstalledSkill:
    parameters = [Parameter(name=name, default=default) for name, default in defaults.items()]
    return InstalledSkill(name="sql", content=content, parameters=parameters)


def test_what_is_rendered_is_parsed_again() -> None:
    known = [skill("Ask {{db}}. Łódź", db=None), InstalledSkill(name="b", description="When?", content="")]
    assert installed_skills.parse(installed_skills.render(known)) == known


@pytest.mark.parametrize(
    "body", [None, {}, {"data": None}, {"data": {"skills.json": "[{}]"}}, {"data": {"other": "[]"}}]
)
def test_a_config_map_that_is_not_as_it_was_made_says_nothing(body: dict[str, object] | None) -> None:
    assert installed_skills.of_config_map(body) is None


def test_a_config_map_without_skills_says_that_there_are_none() -> None:
    assert installed_skills.of_config_map({"data": {installed_skills.DOCUMENT: installed_skills.render([])}}) == []


@pytest.mark.parametrize(
    ("content", "arguments", "told"),
    [
        ("Ask {{db}}.", {}, "Ask main."),
        ("Ask {{db}}.", {"db": "logs"}, "Ask logs."),
        ("Ask {{ db }} and {{db}}.", {"db": "logs"}, "Ask logs and logs."),
        ("Ask {{other}}, {db}, {{}} and {{db", {}, "Ask {{other}}, {db}, {{}} and {{db"),
        ("Ask {{db}}.", {"db": "{{user}}", "user": "x"}, "Ask {{user}}."),
        ("Ask {{db}}.", {"db": r"\1"}, r"Ask \1."),
        ("Ask {{db}}.", {"db": ""}, "Ask ."),
    ],
)
def test_a_placeholder_stands_for_the_callers_value_or_the_default(
    content: str, arguments: dict[str, str], told: str
) -> None:
    assert installed_skills.instructions(skill(content, db="main", user="u"), arguments) == told


def test_long_instructions_are_read_in_no_time() -> None:
    """Operator and egress guard read those of all namespaces. Cubic time would be a day here."""
    for content in ("{{" + " " * 65_000, "{{ a " * 13_000, "{" * 65_000, "{{" + " " * 65_000 + "}"):
        assert installed_skills.used(content, [Parameter(name="db")]) == []
        assert installed_skills.standing_instructions(skill(content, db="main")) == content
    padded = "{{" + " " * 60_000 + "db" + " " * 1000 + "}}"
    assert installed_skills.instructions(skill(padded, db="main"), {}) == "main"


def test_a_value_that_is_missing_is_named() -> None:
    needs = skill("Ask.", db="main", table=None)
    with pytest.raises(ValueError, match="the skill sql needs a value for its parameter table"):
        installed_skills.instructions(needs, {"db": "logs"})
    assert installed_skills.instructions(needs, {"table": "t"}) == "Ask."


def test_the_agent_is_told_the_defaults_and_reads_what_the_caller_may_set() -> None:
    assert installed_skills.standing_instructions(skill("{{db}}.{{table}}", db="main", table=None)) == "main.{{table}}"


def test_instructions_are_bounded_however_often_they_repeat_a_value() -> None:
    """64 KiB of instructions may repeat a caller's megabyte 13,000 times."""
    longest = installed_skills.MOST_CHARACTERS
    repeats = skill("{{db}}" * 10_000, db="main")
    message = f"the skill sql has more than {longest} characters with these values"
    with pytest.raises(ValueError, match=message):
        installed_skills.instructions(repeats, {"db": "x" * 1024 * 1024})
    with pytest.raises(ValueError, match=message):
        installed_skills.standing_instructions(skill("{{db}}" * 10_000, db="x" * 1024))
    assert len(installed_skills.instructions(repeats, {"db": "x" * 100})) == 1_000_000
