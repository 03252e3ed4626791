"""Text of an HTML page, for a model: what a reader would see, in order, a block per line.

Read in one pass, in linear time: ``html.parser`` takes quadratic time for some pages, and a page is somebody else's.
"""

import html
import re
from collections.abc import Iterator

_MARKUP = re.compile(r"<[A-Za-z/!?]")
_TAG = re.compile(r"<(/?)([A-Za-z][A-Za-z0-9-]{0,40})")
_LONG_REFERENCE = re.compile("&#(?:[0-9]{9,}|[xX][0-9A-Fa-f]{9,});?")
"""Numbers beyond all characters. Python refuses to read the longest of them."""
_RAW = frozenset({"script", "style", "textarea", "noscript", "template", "iframe", "svg", "object"})
"""Elements of which nobody sees the content. It is skipped up to the end tag, without being read as HTML."""
_BLOCKS = frozenset(
    {
        *("address", "article", "aside", "blockquote", "body", "br", "dd", "div", "dl", "dt", "figcaption", "figure"),
        *("footer", "form", "h1", "h2", "h3", "h4", "h5", "h6", "head", "header", "hr", "li", "main", "nav", "ol", "p"),
        *("pre", "section", "table", "title", "tr", "ul"),
    }
)
_CELLS = frozenset({"td", "th"})


def page_text(page: str) -> str:
    """Return the text of a page: its title first, without scripts, styles and markup; blanks are joined, empty lines dropped."""
    lines = (" ".join(line.split()) for line in "".join(_parts(page)).split("\n"))
    return "\n".join(line for line in lines if line)


def _parts(page: str) -> Iterator[str]:
    lowered, at = page.lower(), 0
    if len(lowered) != len(page):  # a few characters have longer forms in lower case
        lowered = page
    while markup := _MARKUP.search(page, at):
        start = markup.start()
        yield _plain(page[at:start])
        tag = _TAG.match(page, start)
        if tag is None:
            at = _after_other(page, start)
            continue
        name, end = tag[2].lower(), page.find(">", tag.end())
        yield "\n" if name in _BLOCKS else "\t" if name in _CELLS else ""
        at = len(page) if end < 0 else end + 1
        if name in _RAW and not tag[1]:
            at = _found(lowered.find(f"</{name}", at), page)
    yield _plain(page[at:])


def _after_other(page: str, start: int) -> int:
    """Return where a comment, declaration, processing instruction or malformed end tag ends."""
    if page.startswith("<!--", start):
        end = page.find("-->", start + 4)
        return len(page) if end < 0 else end + 3
    end = page.find(">", start)
    return len(page) if end < 0 else end + 1


def _found(position: int, page: str) -> int:
    return len(page) if position < 0 else position


def _plain(text: str) -> str:
    """Return a text without character references and line breaks, which mean nothing outside ``pre``."""
    return html.unescape(_LONG_REFERENCE.sub("\ufffd", text)).replace("\n", " ")
