"""Every key has a test, and a line in the guide."""

import re
from pathlib import Path

import pytest

from sympozium_cli.tui.keys import SECTIONS

_GUIDE = Path(__file__).parents[3] / "docs/guides/kubectl-plugin.md"
_KEYS = [(section, key.shown, key.words) for section, keys in SECTIONS.items() for key in keys]


def test_every_key_has_a_test() -> None:
    texts = [file.read_text() for file in Path(__file__).parent.glob("test_tui_*.py")]
    tested = {match.groups() for text in texts for match in re.finditer(r'@covers\("(.+?)", "(.+?)"\)', text)}
    assert {(section, shown) for section, shown, _ in _KEYS} == tested


@pytest.mark.parametrize("section", SECTIONS)
def test_every_key_has_a_line_in_the_guide(section: str) -> None:
    rows = [line for line in _GUIDE.read_text().splitlines() if line.startswith(f"| {section} |")]
    wanted = [f"| {section} | `{shown}` | {words} |" for place, shown, words in _KEYS if place == section]
    assert rows == wanted
