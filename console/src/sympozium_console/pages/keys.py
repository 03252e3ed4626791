"""Keys of the pages, as their help and docs/guides/console.md list them. ``static/js/keys.js`` and what it imports act on them."""

from dataclasses import dataclass


@dataclass(frozen=True)
class PageKey:
    """One key, or several that are one after another."""

    keys: tuple[str, ...]
    title: str
    """Effect of the key, as a part of a sentence."""


PAGE_KEYS = (
    PageKey(("?",), "these keys"),
    PageKey(("Ctrl+K",), "go to a page, an instance, a run, or do what the page offers"),
    PageKey(("/",), "the first field of the filters"),
    PageKey(("j",), "next row"),
    PageKey(("k",), "previous row"),
    PageKey(("Enter",), "open the row"),
    PageKey(("o",), "show the run beside the list"),
    PageKey(("x",), "select the run"),
    PageKey(("c",), "cancel the run, after a question"),
    PageKey(("e",), "edit the instance as YAML"),
    PageKey(("y",), "YAML of the instance or the run"),
    PageKey(("]",), "next page"),
    PageKey(("[",), "back"),
    PageKey((".",), "pause live changes, and continue"),
    PageKey(("Escape",), "close what is open"),
)
"""All keys but those of the navigation, which its items have."""
