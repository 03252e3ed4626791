"""Which skills an instance has, and what is said where it cannot have them."""

from typing import Any

import pytest
from tests.unit.operator.objects import MCP_SERVERS, NAMESPACE, instance, metadata

from sympozium_api import names
from sympozium_api.effective import InvalidSpec
from sympozium_api.skillpack import SkillPack
from sympozium_operator.policy import skill_resolution
from sympozium_operator.policy.instance_plan import InstanceInput, decide
from sympozium_operator.policy.skill_resolution import MOST_BYTES, Source

SQL = {"name": "sql", "description": "For questions about data.", "content": "Ask {{db}}."}


def pack(*contents: dict[str, str], name: str = "data", **spec: Any) -> SkillPack:
    body = {"metadata": metadata(name, namespace=NAMESPACE), "spec": {"skills": list(contents)} | spec}
    return SkillPack.model_validate(body)


def config_map(**data: str) -> dict[str, Any]:
    return {"metadata": metadata("notes"), "data": data}


def install(*found: tuple[dict[str, Any], Source]) -> list[dict[str, Any]]:
    """Return the skills of an instance with these references, each with the object that it names."""
    asked = instance(skills=[{"skillPackRef": "web-endpoint"}, *(ref for ref, _ in found)])
    sources = {f"spec.skills[{index}]": source for index, (_, source) in enumerate(found, start=1)}
    return [skill.model_dump(exclude_defaults=True) for skill in skill_resolution.install(asked, sources)]


PACK: dict[str, Any] = {"skillPackRef": "data"}
MAP: dict[str, Any] = {"configMapRef": "notes"}


def test_packs_and_config_maps_are_put_together_in_the_order_of_the_spec() -> None:
    found = install((MAP, config_map(**{"style.md": "Be kind.", "b": "Be brief."})), (PACK, pack(SQL)))
    assert found == [{"name": "b", "content": "Be brief."}, {"name": "style", "content": "Be kind."}, SQL]


def test_a_skill_always_has_a_name() -> None:
    assert [skill["name"] for skill in install((MAP, config_map(**{".md": "x", "README": "y", "b.txt": "z"})))] == [
        ".md",
        "README",
        "b.txt",
    ]


def test_the_web_endpoint_is_no_instruction() -> None:
    assert install() == []


def test_a_skill_has_only_the_parameters_that_its_instructions_name() -> None:
    """An MCP tool would ask for the others in vain."""
    skills = [
        SQL,
        {"name": "tone", "content": "Be kind to {{ whom }}."},
        {"name": "brief", "content": "Be {brief}, {{x}}."},
    ]
    found = install((PACK, pack(*skills, parameters=[{"name": "db"}, {"name": "whom", "default": "all"}])))
    assert [[parameter["name"] for parameter in skill.get("parameters", [])] for skill in found] == [
        ["db"],
        ["whom"],
        [],
    ]


def test_params_take_the_place_of_defaults() -> None:
    parameters = [{"name": "db", "default": "main", "description": "Which?"}, {"name": "table"}]
    asks = SQL | {"content": "Ask {{db}}, above all {{table}}."}
    found = install((PACK | {"params": {"db": "logs"}}, pack(asks, parameters=parameters)))
    assert found[0]["parameters"] == [{"name": "db", "default": "logs", "description": "Which?"}, {"name": "table"}]


@pytest.mark.parametrize(
    ("text", "description", "content"),
    [
        ("---\nname: x\ndescription: When asked.\n---\n\nDo it.\n", "When asked.", "Do it.\n"),
        ("---\r\ndescription: When asked.\r\n---\r\nDo it.", "When asked.", "Do it."),
        ("---\ndescription: >-\n  When\n  asked.\n---\nDo it.", "When asked.", "Do it."),
        ("---\nname: x\n---\nDo it.", None, "Do it."),
        ("---\ndescription: [a]\n---\nDo it.", None, "Do it."),
        ("Do it.\n---\ndescription: x\n---\n", None, "Do it.\n---\ndescription: x\n---\n"),
        ("---\n: [\n---\nDo it.", None, "---\n: [\n---\nDo it."),
        ("---\n" + "[" * 4000 + "\n---\nDo it.", None, "---\n" + "[" * 4000 + "\n---\nDo it."),
        ("---\nJust a line above\n---\nDo it.", None, "---\nJust a line above\n---\nDo it."),
        (
            "---\ndescription: " + "x" * 4096 + "\n---\nDo it.",
            None,
            "---\ndescription: " + "x" * 4096 + "\n---\nDo it.",
        ),
    ],
)
def test_front_matter_describes_a_skill_of_a_config_map(text: str, description: str | None, content: str) -> None:
    [found] = install((MAP, config_map(x=text)))
    assert (found.get("description"), found["content"]) == (description, content)


@pytest.mark.parametrize(
    ("found", "message"),
    [
        (
            [(PACK | {"params": {"color": "red"}}, pack(SQL, parameters=[{"name": "db"}, {"name": "a"}]))],
            r"spec.skills\[1\].params.color: unknown; known are a, db",
        ),
        ([(MAP | {"params": {"x": "y"}}, config_map(a="b"))], r"spec.skills\[1\].params.x: unknown; known are none"),
        (
            [(PACK, pack(SQL)), (MAP, config_map(**{"sql.md": "x"}))],
            r"spec.skills\[2\] \(notes\) and spec.skills\[1\] \(data\) both have a skill sql",
        ),
        ([(MAP, config_map(**{"a": "x", "a.md": "x"}))], r"spec.skills\[1\] \(notes\) and .* both have a skill a"),
        ([(PACK, pack(SQL, SQL))], r"spec.skills\[1\].skillPackRef: the SkillPack data .* two skills sql"),
        ([(PACK, pack(SQL, sidecar={"image": "x"}))], r"spec.skills\[1\].skillPackRef: .* it has a sidecar"),
        ([(MAP, config_map(a="x" * (MOST_BYTES + 1)))], f"spec.skills: .* {MOST_BYTES + 1} bytes"),
        ([(MAP, config_map(a='"' * (MOST_BYTES // 2)))], "spec.skills: all skills together have"),
        ([({"configMapRef": names.installed_skills("alice")}, config_map())], r"spec.skills\[1\].configMapRef"),
    ],
)
def test_what_cannot_be_installed_is_an_error_that_names_the_field(found: list[Any], message: str) -> None:
    with pytest.raises(InvalidSpec, match=message):
        install(*found)


@pytest.mark.parametrize(
    ("ref", "reason", "message"),
    [
        (PACK, "SkillPackNotFound", "spec.skills[0].skillPackRef: there is no SkillPack data"),
        (MAP, "ConfigMapNotFound", "spec.skills[0].configMapRef: there is no ConfigMap notes"),
    ],
)
def test_what_is_missing_is_reported_looked_for_again_and_leaves_what_there_was(
    ref: dict[str, str], reason: str, message: str
) -> None:
    before = instance(skills=[ref])
    plan = decide(InstanceInput(before.metadata.created, before, sources={"spec.skills[0]": None}))
    [accepted] = [c for c in plan.status["conditions"] if c["type"] == "Accepted"]
    assert (accepted["status"], accepted["reason"]) == ("False", reason)
    assert accepted["message"].startswith(message)
    assert (plan.skills, plan.requeue_after, plan.status["phase"]) == (None, 5, "Error")


def test_a_spec_that_is_refused_for_something_else_leaves_the_skills_as_they_are() -> None:
    asked = instance(skills=[MAP], mcpServers=MCP_SERVERS)
    assert (
        decide(InstanceInput(asked.metadata.created, asked, sources={"spec.skills[0]": config_map(a="b")})).skills
        is None
    )


def test_skills_are_bounded_with_the_values_of_their_parameters() -> None:
    """The prompt of every run has them."""
    repeats = {"name": "sql", "content": "{{db}}" * 10_000}
    parameters = [{"name": "db", "default": "x" * 200}]
    with pytest.raises(InvalidSpec, match=r"spec\.skills: the skill sql has more than 1048576 characters"):
        install((PACK, pack(repeats, parameters=parameters)))
    repeats["content"] = "{{db}}" * 4_000
    with pytest.raises(InvalidSpec, match="all skills together have 1600000 bytes"):
        install((PACK, pack(repeats, repeats | {"name": "more"}, parameters=parameters)))
