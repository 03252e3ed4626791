"""Control and bidi characters, shown as what they are: a text that holds them reads otherwise than it looks. Pure."""

import re

from markupsafe import Markup, escape

_REORDERING = "\u202a-\u202e\u2066-\u2069"
_IN_NAMES = re.compile(
    r"[\x00-\x1f\x7f-\x9f"  # C0, C1
    r"\u061c\u200b-\u200f\u2028\u2029\u2060-\u2064\u206a-\u206f\ufeff"  # bidi marks, what has no width, separators
    rf"{_REORDERING}\ufff9-\ufffb\U000e0000-\U000e007f]"  # bidi embeddings, overrides and isolates; annotations; tags
)
_IN_PROSE = re.compile(rf"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f{_REORDERING}]")
_SURROGATES = re.compile("[\ud800-\udfff]")
_REPLACEMENT = "\ufffd"


def visible(text: object) -> Markup:
    """Return a name for HTML, with each control, bidi and invisible character as its code point."""
    return Markup(_IN_NAMES.sub(_shown, str(escape(encodable(str(text))))))  # noqa: S704 - escaped, and then only our own elements


def visible_in_html(html: str) -> str:
    """Return HTML, whose attributes hold no such characters, with what controls and reorders its text as code points."""
    return _IN_PROSE.sub(_shown, html)


def encodable(text: str) -> str:
    """Return a text that UTF-8 can encode: halves of surrogate pairs, which JSON may hold, are replaced."""
    return _SURROGATES.sub(_REPLACEMENT, text)


def _shown(found: re.Match[str]) -> str:
    return f'<span class="control">U+{ord(found[0]):04X}</span>'
