"""The HTML that a text may become: elements of text, links that leave, and classes of ours."""

import nh3

from sympozium_console.pages.prose import code_colours
from sympozium_console.pages.prose.visible_signs import encodable, visible_in_html

_BLOCKS = {"p", "h3", "ul", "ol", "li", "blockquote", "hr", "pre", "div", "table", "thead", "tbody", "tr", "th", "td"}
_INLINE = {"a", "br", "code", "em", "s", "span", "strong"}
_FOREIGN_TEXT = {"p", "h3", "li", "blockquote", "th", "td"}
"""Elements whose direction is that of their text."""
HEADINGS = tuple(f"prose-h{level}" for level in range(1, 7))
ALIGNED = {"left": "align-left", "center": "align-center", "right": "align-right"}

_CLEANER = nh3.Cleaner(
    tags=_BLOCKS | _INLINE,
    clean_content_tags={"script", "style"},
    attributes={"*": set(), "a": {"href"}, "ol": {"start"}, "pre": {"aria-label"}},
    tag_attribute_values={
        "div": {"role": {"group"}, "tabindex": {"0"}, "aria-label": {"Table"}},
        "pre": {"role": {"group"}, "tabindex": {"0"}, "dir": {"ltr"}},
    },
    set_tag_attribute_values={name: {"dir": "auto"} for name in _FOREIGN_TEXT} | {"a": {"target": "_blank"}},
    link_rel="noopener noreferrer nofollow",
    url_schemes={"http", "https", "mailto"},
    url_relative="deny",
    allowed_classes={
        "div": {"scrolled"},
        "h3": set(HEADINGS),
        "span": {"link-host"} | code_colours.CLASSES,
        "th": set(ALIGNED.values()),
        "td": set(ALIGNED.values()),
    },
)


def cleaned(html: str) -> str:
    """Return HTML without anything that is not allowed, whatever made it."""
    return visible_in_html(_CLEANER.clean(encodable(html)))
