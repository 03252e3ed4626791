"""Golden pictures of the terminal, to be looked at: any browser shows them. ``UPDATE_GOLDEN=1`` writes them again."""

import os
import re
from pathlib import Path

from tests.integration.cli.ui_world import Ui

GOLDEN = Path(__file__).parents[2] / "golden/tui"


def picture(it: Ui) -> str:
    """Return an SVG of the terminal, an element per line.

    The number that Rich computes from the contents is left out of names, and the clips, which no line of ours needs.
    """
    svg = re.sub(r"terminal-\d+-", "", it.app.export_screenshot(simplify=True))
    svg = re.sub(r'<clipPath id="line-\d+">.*?</clipPath>\s*', "", svg, flags=re.DOTALL)
    svg = re.sub(r' (clip-path="url\(#line-\d+\)"|shape-rendering="crispEdges")', "", svg)
    svg = re.sub(r"@font-face \{.*?\}\s*", "", svg, flags=re.DOTALL).replace("Fira Code, monospace", "monospace")
    svg = svg.replace("<svg ", '<svg xml:space="preserve" ', 1)  # without it some viewers lose blanks before a word
    return re.sub(r"\n\s*", "\n", svg.replace("><", ">\n<")).rstrip() + "\n"


def matches(it: Ui, name: str) -> bool:
    """Return true if the terminal looks as in the picture ``<name>-<columns>x<lines>.svg``."""
    file = GOLDEN / f"{name}-{it.app.size.width}x{it.app.size.height}.svg"
    made = picture(it)
    if os.environ.get("UPDATE_GOLDEN"):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(made)
    return file.read_text() == made
