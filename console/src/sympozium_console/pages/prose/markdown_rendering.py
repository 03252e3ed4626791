"""Markdown as HTML: CommonMark with tables and strikethrough, without HTML and without images. Pure."""

import re
from collections.abc import Callable, Sequence
from html import escape
from typing import Any
from urllib.parse import urlsplit

from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.rules_core import StateCore
from markdown_it.token import Token
from markdown_it.utils import EnvType, OptionsDict

from sympozium_console.pages.prose import code_colours
from sympozium_console.pages.prose.allowed_html import ALIGNED, HEADINGS, cleaned

_LINK = re.compile(r"(?:https?://[^/?#@\\\s]+(?:[/?#]|$)|mailto:[^@\s]+@[^@\s]+$)", re.IGNORECASE)
"""Addresses that links may have. None has user information, which makes one host look like another."""
_CONTINUED = frozenset({"bullet_list_open", "ordered_list_open", "code_block"})
"""Blocks that may go on after a blank line."""
_BLANKS = " \t\r\n"
_LONGEST_LINK = 2000
_SHORT = 1024
_MOST_GROWTH = 64
"""Bytes of HTML for each of the text's: links that are defined once can be used at each letter."""
_ALIGN = re.compile(r"text-align:(\w+)")
_HEADING = "h3"
"""Element of each heading, whatever its level: below those of the page, and without a gap between levels."""


def rendered(text: str, definitions: dict[str, Any]) -> str:
    """Return the clean HTML of a Markdown text. Link definitions of earlier texts count, and those of this text are added to them."""
    html = _MARKDOWN.render(text, {"references": definitions})
    if len(html) > _MOST_GROWTH * max(len(text), _SHORT):
        html = f"<pre><code>{escape(text)}</code></pre>"
    return cleaned(html)


def complete_lines(lines: Sequence[str]) -> int:
    """Return how many lines of a growing text are of blocks that nothing changes which follows. The lines have their ends.

    Only the last block can still change, because CommonMark is read line by line: a list, an indented text, and any block that is
    not followed by a blank line.
    """
    tokens = _BLOCKS_ONLY.parse("".join(lines))
    blocks = [(token.map, token.type) for token in tokens if token.map and token.level == 0 and token.nesting >= 0]
    if not blocks:
        return 0
    (begin, end), kind = blocks[-1]
    is_closed = kind not in _CONTINUED and end < len(lines) and not "".join(lines[end:]).strip(_BLANKS)
    return len(lines) if is_closed else begin


def _name_hosts(state: StateCore) -> None:
    """Add the host to each link whose text is not its address."""
    for block in state.tokens:
        if block.children:
            block.children = _with_hosts(block.children)


def _with_hosts(tokens: Sequence[Token]) -> list[Token]:
    named, address, text = [], "", ""
    for token in tokens:
        if token.type == "link_open":
            address, text = str(token.attrs["href"]), ""
        elif token.type == "link_close" and (host := _host(address)) and text != address:
            named.append(Token("link_host", "span", 0, content=host))
        else:
            text += token.content
        named.append(token)
    return named


def _host(address: str) -> str:
    if address.lower().startswith("mailto:"):
        return address[len("mailto:") :].partition("?")[0]
    return urlsplit(address).netloc


def _link_host(_: RendererHTML, tokens: Sequence[Token], at: int, _options: OptionsDict, _env: EnvType) -> str:
    return f' <span class="link-host">{escape(tokens[at].content)}</span>'


def _code(_: RendererHTML, tokens: Sequence[Token], at: int, _options: OptionsDict, _env: EnvType) -> str:
    token = tokens[at]
    language = code_colours.language_of(token.info)
    label = f"Code, {language}" if language else "Code"
    code = code_colours.coloured(token.content, language)
    return f'<pre dir="ltr" role="group" tabindex="0" aria-label="{label}"><code>{code}</code></pre>\n'


def _heading(self: RendererHTML, tokens: Sequence[Token], at: int, options: OptionsDict, _env: EnvType) -> str:
    token = tokens[at]
    if token.nesting > 0:
        token.attrSet("class", HEADINGS[int(token.tag[1:]) - 1])
    token.tag = _HEADING
    return self.renderToken(tokens, at, options, {})


def _cell(self: RendererHTML, tokens: Sequence[Token], at: int, options: OptionsDict, _env: EnvType) -> str:
    token = tokens[at]
    if found := _ALIGN.search(str(token.attrs.pop("style", ""))):
        token.attrSet("class", ALIGNED[found[1]])
    return self.renderToken(tokens, at, options, {})


def _table(_: RendererHTML, tokens: Sequence[Token], at: int, _options: OptionsDict, _env: EnvType) -> str:
    if tokens[at].nesting < 0:
        return "</table></div>\n"
    return '<div class="scrolled" role="group" tabindex="0" aria-label="Table"><table>\n'


_RULES: dict[str, Callable[[RendererHTML, Sequence[Token], int, OptionsDict, EnvType], str]] = {
    "link_host": _link_host,
    "fence": _code,
    "code_block": _code,
    "heading_open": _heading,
    "heading_close": _heading,
    "th_open": _cell,
    "td_open": _cell,
    "table_open": _table,
    "table_close": _table,
}


class _SafeMarkdown(MarkdownIt):
    def validateLink(self, url: str) -> bool:  # noqa: N802 - the base class's name
        return len(url) <= _LONGEST_LINK and _LINK.match(url) is not None


def _markdown() -> MarkdownIt:
    markdown = _SafeMarkdown("commonmark", {"html": False})
    markdown.enable(["table", "strikethrough"]).disable("image")
    return markdown


def _rendering() -> MarkdownIt:
    markdown = _markdown()
    markdown.core.ruler.push("name_hosts", _name_hosts)
    for name, rule in _RULES.items():
        markdown.add_render_rule(name, rule)
    return markdown


_MARKDOWN = _rendering()
_BLOCKS_ONLY = _markdown().disable(["inline", "text_join"])
