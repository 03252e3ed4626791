"""Texts of a run's error, which its caller, its status and its Event show: sentences, unless they are the model's own words."""

import ast
from collections.abc import Iterator

import pytest
from tests.contract.documents import ROOT

from sympozium_api.agent_protocol import sentence

MESSAGE_AT = {"error": 1, "_refusal": 1, "ModelError": 0, "ModelRefusal": 0}
"""The place of the text among the arguments of what makes an error."""
SOURCES = [
    file for part in ("crds", "lib", "operator", "agent", "webproxy") for file in ROOT.glob(f"{part}/src/**/*.py")
]


def texts() -> Iterator[tuple[str, str]]:
    """Yield file and text of each error that is written out where it is made, with ``…`` for what is filled in."""
    for file in SOURCES:
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "sentence":
                yield file.name, _text(node.value)
            if not isinstance(node, ast.Call):
                continue
            name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            at = MESSAGE_AT.get(name)
            if at is not None and len(node.args) > at and isinstance(node.args[at], ast.Constant | ast.JoinedStr):
                yield file.name, _text(node.args[at])


def _text(node: ast.expr) -> str:
    parts = node.values if isinstance(node, ast.JoinedStr) else [node]
    return "".join(str(part.value) if isinstance(part, ast.Constant) else "…" for part in parts)


def test_each_text_of_ours_is_a_sentence() -> None:
    found = [
        (file, text) for file, text in texts() if " " in text.strip("… ")
    ]  # others are put together of others' words
    assert len(found) > 20, "they are found"
    assert [(file, text) for file, text in found if not (text[0].isupper() and text.endswith("."))] == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("there is no Secret keys", "There is no Secret keys."),
        ("The run was deleted.", "The run was deleted."),
        ("spec.requestText.gzip: it is cut", "spec.requestText.gzip: it is cut."),
        ("the pod could not be started: Unschedulable: full\n", "The pod could not be started: Unschedulable: full."),
        ("'x' is unknown", "'x' is unknown."),
        ("the rest is left out…", "The rest is left out…"),
    ],
)
def test_a_text_of_others_becomes_a_sentence(text: str, expected: str) -> None:
    assert sentence(text) == expected
