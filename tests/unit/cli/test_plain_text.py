import pytest
from hypothesis import given
from hypothesis import strategies as st

from sympozium_cli.plain_text import plain, plain_lines


@pytest.mark.parametrize(
    ("hostile", "shown"),
    [
        ("\x1b[31mred\x1b[0m", "red"),
        ("a\x1b]0;title\x07b", "ab"),
        ("a\x1b]52;c;ZXZpbA==\x1b\\b", "ab"),
        ("a\x1b]8;;https://evil.example\x1b\\link\x1b]8;;\x1b\\b", "alinkb"),
        ("a\x1bP1$r0m\x1b\\b", "ab"),
        ("a\x1b[?1049h\x1b[2Jb", "ab"),
        ("a\x9b31mb", "ab"),
        ("a\x1bcb", "ab"),
        ("end\x1b", "end"),
        ("a\rb\x08c", "a\ufffdb\ufffdc"),
        ("user\u202egpj.exe", "user\ufffdgpj.exe"),
        ("\ud800", "\ufffd"),
        ("[bold red]not markup[/]", "[bold red]not markup[/]"),
        ("two\nlines\tand a tab", "two lines   and a tab"),
        ("Grüße 日本 👩‍🚀", "Grüße 日本 👩‍🚀"),
    ],
)
def test_a_text_leaves_the_terminal_as_it_was(hostile: str, shown: str) -> None:
    assert plain(hostile) == shown


@given(st.text(st.characters(codec=None) | st.sampled_from("\x1b[]\\;m\x07\x9b\x9c\n\r")))
def test_no_text_keeps_a_control_character(text: str) -> None:
    for line in plain_lines(text):
        assert not any(ord(sign) < 32 or 127 <= ord(sign) < 160 for sign in line)
        line.encode()
