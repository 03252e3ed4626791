"""Text of models as HTML: CommonMark stays what it is, and nothing of a text runs, fetches or takes names of the page."""

import asyncio
import re
import time
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.fakes.hostile_answers import hostile_answers

from sympozium_console.pages.prose import formatted_text
from sympozium_console.pages.prose.formatted_text import GrowingText, complete_length, formatted
from sympozium_console.pages.prose.markdown_rendering import rendered
from sympozium_console.pages.prose.visible_signs import visible

_ELEMENTS = {
    *("a", "blockquote", "br", "code", "div", "em", "h3", "hr", "li", "ol", "p", "pre", "s", "span", "strong"),
    *("table", "tbody", "td", "th", "thead", "tr", "ul"),
}
_ATTRIBUTES = {"href", "rel", "target", "class", "dir", "role", "tabindex", "aria-label", "start"}
_CLASS = re.compile(r"(?:(?:hl-\w+|prose-h[1-6]|align-(?:left|center|right)|scrolled|link-host|control)(?: |$))+")


class _Elements(HTMLParser):
    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.others: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_comment(self, data: str) -> None:
        self.others.append(data)

    def handle_decl(self, decl: str) -> None:
        self.others.append(decl)

    def handle_pi(self, data: str) -> None:
        self.others.append(data)


def assert_harmless(html: str) -> None:
    found = _Elements(html)
    assert not found.others
    for name, attributes in found.elements:
        assert name in _ELEMENTS, html
        assert attributes.keys() <= _ATTRIBUTES, html
        assert _CLASS.fullmatch(attributes.get("class") or "control"), html
        if name == "a" and "href" in attributes:
            assert re.match(r"https?://[^/@\\]+(/|$)|mailto:", attributes["href"] or ""), html
            assert (attributes["rel"], attributes["target"]) == ("noopener noreferrer nofollow", "_blank")


def test_three_hundred_hostile_answers_run_nothing_and_fetch_nothing() -> None:
    answers = hostile_answers()
    assert len(set(answers)) >= 300
    for answer in answers:
        assert_harmless(rendered(answer, {}))


@given(st.text(st.sampled_from("ab<>&\"'`*_[]()!#|-+~\\:/\n\r\t =1.{}\x00\u202e\ud800"), max_size=200))
def test_no_text_makes_harmful_html(text: str) -> None:
    assert_harmless(rendered(text, {}))


@pytest.mark.parametrize(
    ("text", "html"),
    [
        ("a *b* **c** `d` ~~e~~", '<p dir="auto">a <em>b</em> <strong>c</strong> <code>d</code> <s>e</s></p>'),
        ("a\\\nb", '<p dir="auto">a<br>\nb</p>'),
        ("> a", '<blockquote dir="auto">\n<p dir="auto">a</p>\n</blockquote>'),
        ("3. a", '<ol start="3">\n<li dir="auto">a</li>\n</ol>'),
        ("- a", '<ul>\n<li dir="auto">a</li>\n</ul>'),
        ("Title\n===", '<h3 class="prose-h1" dir="auto">Title</h3>'),
        ("#### Four", '<h3 class="prose-h4" dir="auto">Four</h3>'),
        ("---", "<hr>"),
        ("a <b>c</b>", '<p dir="auto">a &lt;b&gt;c&lt;/b&gt;</p>'),
        ("&amp; &copy;", '<p dir="auto">&amp; ©</p>'),
        ("~~~\na<b\n~~~", '<pre dir="ltr" role="group" tabindex="0" aria-label="Code"><code>a&lt;b\n</code></pre>'),
    ],
)
def test_commonmark_stays(text: str, html: str) -> None:
    assert rendered(text, {}).strip() == html


def test_code_has_the_colours_of_its_language() -> None:
    html = rendered("```py\nx = 1 # \u202e\n```", {})
    assert 'aria-label="Code, python"' in html
    assert '<span class="hl-mi">1</span>' in html
    assert '<span class="control">U+202E</span>' in html


def test_a_table_scrolls_by_itself_and_keeps_its_alignment() -> None:
    html = rendered("|a|b|\n|-|-:|\n|1|2|", {})
    assert html.startswith('<div class="scrolled" role="group" tabindex="0" aria-label="Table"><table>')
    assert '<td class="align-right" dir="auto">2</td>' in html


def test_a_link_shows_where_it_leads() -> None:
    assert '>bank.example <span class="link-host">evil.example</span></a>' in rendered(
        "[bank.example](https://evil.example/x)", {}
    )
    assert ">https://evil.example/x</a>" in rendered("<https://evil.example/x>", {})
    assert "xn--" in rendered("[x](https://p\u0430ypal.example)", {})
    assert '<span class="link-host">a@b.example</span>' in rendered("[write](mailto:a@b.example?subject=x)", {})


def test_an_image_is_a_link() -> None:
    html = rendered("![cat](https://evil.example/cat.png)", {})
    assert "<img" not in html
    assert '<span class="link-host">evil.example</span>' in html


def test_a_definition_that_is_used_everywhere_makes_no_page_of_megabytes() -> None:
    text = f"[a]: https://x.example/{'y' * 1900}\n\n" + "[a]" * 2000
    assert len(rendered(text, {})) < 2 * len(text)


def test_names_show_what_would_hide_in_them() -> None:
    assert visible("a\u202eb\u200b<c>\x1b") == (
        'a<span class="control">U+202E</span>b<span class="control">U+200B</span>&lt;c&gt;<span class="control">U+001B</span>'
    )
    assert visible("demo \u00e9 \u05d0\u05d1 \ud83d") == "demo é אב \ufffd"


_LINES = st.sampled_from(
    [
        "a",
        "",
        "- x",
        "  y",
        "1. z",
        "> q",
        "```",
        "~~~",
        "    code",
        "# h",
        "---",
        "|a|b|",
        "|-|-|",
        "===",
        "#",
        "* ",
        "\tx",
        "<b>",
        "\r",
    ]
)


@given(st.lists(_LINES, max_size=14), st.sampled_from(["\n", "\r\n"]), st.integers(1, 7))
def test_a_text_that_grows_becomes_the_same_blocks_as_the_whole_text(lines: list[str], end: str, step: int) -> None:
    text = end.join(lines)

    async def grown() -> str:
        growing, html = GrowingText(), ""
        for at in range(0, len(text), step):
            html += await growing.add(text[at : at + step])
        return html + await growing.end()

    assert asyncio.run(grown()).split() == rendered(text, {}).split()


@given(st.lists(_LINES, max_size=10), st.lists(_LINES, max_size=4))
def test_complete_blocks_stay_what_they_are_whatever_follows(lines: list[str], more: list[str]) -> None:
    text = "\n".join(lines)
    front = text[: complete_length(text)]
    whole = rendered(text + "\n".join(more), {})
    assert whole.split()[: len(rendered(front, {}).split())] == rendered(front, {}).split()


async def test_links_that_are_defined_later_are_known_of() -> None:
    growing = GrowingText()
    assert "<a" not in await growing.add("[a] and [b]\n\nnext\n")
    assert not growing.has_definitions
    await growing.add("\n[a]: https://x.example\n\nlast\n")
    assert (
        '<a href="https://x.example"' in await growing.end() + (await formatted("[a]\n\n[a]: https://x.example")).html
    )
    assert growing.has_definitions


async def test_a_long_text_is_formatted_as_far_as_the_bound_allows() -> None:
    text = "word *x*\n\n" * 100
    result = await formatted(text, 255)
    assert result.html.count("<p ") == 25
    assert result.plain.startswith("word *x*")
    growing, html = GrowingText(255), ""
    for at in range(0, len(text), 50):
        html += await growing.add(text[at : at + 50])
    assert (html + await growing.end()).count("<p ") == 25
    assert growing.open == result.plain


async def test_an_unfinished_block_is_looked_at_in_proportion_to_its_growth(monkeypatch: pytest.MonkeyPatch) -> None:
    looked_at: list[int] = []

    def look(text: str) -> int:
        looked_at.append(len(text))
        return 0

    monkeypatch.setattr(formatted_text, "complete_length", look)
    growing = GrowingText()
    await growing.add("```\n")
    for _ in range(2000):
        await growing.add("x = 1\n")
    assert sum(looked_at) < 20 * len(growing.open)


def test_a_line_without_an_end_is_read_once() -> None:
    begin = time.process_time()
    assert complete_length("done\n\n" + "x" * 200_000) == len("done\n\n")
    assert time.process_time() - begin < 10  # minutes, if it was read again from each of its characters
