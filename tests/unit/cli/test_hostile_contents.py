"""Contents of objects in the terminal UI: nothing of them acts on the terminal, and nothing of them is pasted into a shell."""

import json
import shlex

import pytest

from sympozium_api.resources import INSTANCES
from sympozium_cli.tui.screens.text_screen import markdown
from sympozium_cli.tui.views import kubectl_lines
from sympozium_cli.tui.views.skills import choice_cells, choices

HOSTILE = "\x1b]52;c;aGk=\x07\x1b[201~\u202e\x9b31m\nx"
UNSAFE = ("\x1b", "\x07", "\x9b", "\u202e", "\n")


@pytest.mark.parametrize(
    "entity", ["&#x202e;", "&#8238;", "&rlm;", "&#x2067;", "&#xfeff;", "&NoBreak;", "&#13;", "&#x1b;"]
)
@pytest.mark.parametrize("form", ["a {} b", "# a {} b", "- a {} b", "| a {} |\n|---|\n| b {} |", "[a {}](b{})"])
def test_entities_of_markdown_bring_no_control_characters(entity: str, form: str) -> None:
    lines = markdown(form.replace("{}", entity))[0]
    assert callable(lines)
    text = "".join(strip.text for strip in lines(40))
    assert all(sign.isprintable() for sign in text), ascii(text)


def test_params_of_skills_are_shown_as_plain_text() -> None:
    instance = {"spec": {"skills": [{"skillPackRef": "tone", "params": {"style": HOSTILE, HOSTILE: "x"}}]}}
    cells = [cell.text for choice in choices(instance, []) for cell in choice_cells(choice, "")]
    assert not [sign for sign in UNSAFE if sign in "".join(cells)]


def test_a_kubectl_line_keeps_what_a_terminal_would_act_on_in_escapes() -> None:
    patch = {"spec": {"skills": [{"skillPackRef": "tone", "params": {"style": HOSTILE + "'$(id)`id`", "ü": "Zürich"}}]}}
    line = kubectl_lines.of_patch((), INSTANCES, ("team-a", "assistant"), patch)
    assert not [sign for sign in UNSAFE if sign in line]
    assert "Zürich" in line
    assert json.loads(shlex.split(line)[-1]) == patch
