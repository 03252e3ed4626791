"""Code with its tokens in classes, for the languages that answers mostly have. Pure."""

from functools import cache
from html import escape

from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexer import Lexer
from pygments.lexers import get_lexer_by_name
from pygments.token import STANDARD_TYPES

_PREFIX = "hl-"
_MOST_CHARACTERS = 16 * 1024
"""Longer code has no colours, because lexers take more than linear time for some texts."""
_LANGUAGES = frozenset(
    {
        *(
            "bash",
            "c",
            "cpp",
            "csharp",
            "css",
            "diff",
            "docker",
            "go",
            "graphql",
            "haskell",
            "html",
            "http",
            "ini",
            "java",
        ),
        *(
            "javascript",
            "json",
            "jsx",
            "kotlin",
            "lua",
            "make",
            "markdown",
            "nginx",
            "perl",
            "php",
            "powershell",
            "python",
        ),
        *("r", "ruby", "rust", "scala", "sql", "swift", "terraform", "toml", "typescript", "xml", "yaml"),
    }
)
_ALIASES = {
    "c++": "cpp",
    "c#": "csharp",
    "cs": "csharp",
    "console": "bash",
    "dockerfile": "docker",
    "golang": "go",
    "hcl": "terraform",
    "js": "javascript",
    "kt": "kotlin",
    "makefile": "make",
    "md": "markdown",
    "patch": "diff",
    "ps1": "powershell",
    "py": "python",
    "python3": "python",
    "rb": "ruby",
    "rs": "rust",
    "sh": "bash",
    "shell": "bash",
    "ts": "typescript",
    "yml": "yaml",
    "zsh": "bash",
}
_FORMATTER: HtmlFormatter[str] = HtmlFormatter(nowrap=True, classprefix=_PREFIX)

CLASSES = frozenset(f"{_PREFIX}{part}" for name in STANDARD_TYPES.values() if name for part in (name, *name.split()))
"""Classes that the tokens of code have."""


def language_of(info: str) -> str:
    """Return the language that a fence's info string names; empty: none that has colours."""
    word = info.split(maxsplit=1)[0].lower() if info.strip() else ""
    name = _ALIASES.get(word, word)
    return name if name in _LANGUAGES else ""


def coloured(code: str, language: str) -> str:
    """Return code as HTML: with its tokens in classes if ``language``, as ``language_of`` returns it, is not empty."""
    if not language or len(code) > _MOST_CHARACTERS:
        return escape(code)
    return highlight(code, _lexer(language), _FORMATTER)


@cache
def _lexer(language: str) -> Lexer:
    return get_lexer_by_name(language, stripnl=False, ensurenl=False)
