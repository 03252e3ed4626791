"""The pages for people name files and commands that exist."""

import json
import re
import shlex
from pathlib import Path

import pytest
from tests.contract.documents import ROOT, markdown_pages

MAKE = re.compile(r"`make ([a-z-]+)`|^make ([a-z-]+)", re.MULTILINE)
LINK = re.compile(r"\]\((?!https?://|#)([^)#]+)(?:#[^)]*)?\)")
pages = pytest.mark.parametrize("page", markdown_pages(), ids=lambda page: str(page.relative_to(ROOT)))


@pages
def test_every_command_of_make_that_a_page_names_exists(page: Path) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = {one or other for one, other in MAKE.findall(page.read_text())}
    assert named - targets == set()


@pages
def test_every_upgrade_that_a_page_shows_names_the_namespace_and_gives_new_values_their_defaults(page: Path) -> None:
    upgrades = re.findall(r"^ *helm upgrade .*$", page.read_text(), re.MULTILINE)
    wanted = ("--namespace sympozium-system", "--reset-then-reuse-values")
    assert [command for command in upgrades if not all(word in command for word in wanted)] == []


@pages
def test_every_link_leads_to_a_file(page: Path) -> None:
    links = LINK.findall(re.sub(r"`[^`]*`", "", page.read_text()))
    assert [link for link in links if not (page.parent / link).exists()] == []


def anchors(page: Path) -> set[str]:
    """Return the anchors that the page's headings get, as GitHub makes them."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pages
def test_every_anchor_that_a_page_links_to_is_a_heading(page: Path) -> None:
    links = re.findall(r"\]\((?!https?://)([^)#]*)#([^)]+)\)", re.sub(r"`[^`]*`", "", page.read_text()))
    missing = [
        f"{file}#{anchor}" for file, anchor in links if anchor not in anchors(page.parent / file if file else page)
    ]
    assert missing == []


@pages
def test_every_file_that_a_page_names_exists(page: Path) -> None:
    named = re.findall(
        r"`((?:agent|charts|console|crds|docs|examples|lib|local|operator|tests|webproxy)/[\w./-]+)`", page.read_text()
    )
    assert [name for name in named if not (ROOT / name).exists()] == []


@pages
def test_every_block_of_python_and_json_can_be_parsed(page: Path) -> None:
    for language, block in re.findall(r"```(\w+)\n(.*?)```", page.read_text(), re.DOTALL):
        if language == "python":
            compile(block, str(page), "exec")
        if language == "json":
            json.loads(block)


def test_every_place_in_the_map_of_the_tree_exists() -> None:
    [block] = re.findall(r"## Map of the tree\n+```\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    places = [place for line in block.splitlines() for place in re.split(r" {2,}", line)[0].split()]
    assert places
    assert [place for place in places if not list(ROOT.glob(place))] == []


PACKAGES = {"operator": "operator", "webproxy": "web-proxy", "agent": "agent", "console": "console"}
"""Folders of processes, and the word with which their part of the drawing of the packages begins."""


@pytest.mark.parametrize(("folder", "title"), PACKAGES.items())
def test_the_drawing_of_the_packages_names_every_folder_of_a_process(folder: str, title: str) -> None:
    drawing = (ROOT / "docs/architecture.md").read_text().split("```")[1]
    [part] = re.findall(rf"^{title} +(.*?)(?=^\S|\Z)", drawing, re.DOTALL | re.MULTILINE)
    folders = {file.parent.name for file in (ROOT / folder / "src").glob(f"sympozium_{folder}/*/*.py")}
    assert folders - set(re.findall(r"[a-z_]+", part)) == set()


def test_the_readme_applies_only_files_that_exist() -> None:
    text = (ROOT / "README.md").read_text()
    files = re.findall(r"kubectl (?:apply|create) -f ([\w./-]+)", text) + re.findall(
        r"helm install \S+ (charts/[\w-]+)", text
    )
    assert {"crds/", "examples/instance.yaml", "charts/sympozium"} <= set(files)
    assert [file for file in files if not (ROOT / file).exists()] == []


def test_every_rule_names_the_code_that_keeps_it_and_its_tests() -> None:
    text = (ROOT / "docs/reference/rules.md").read_text()
    sections = re.split(r"^## ", text, flags=re.MULTILINE)[1:]
    assert [int(section.split(".")[0]) for section in sections] == list(range(1, 13))
    for section in sections:
        places = re.search(r"^- Kept by: (.*?)^- Tests: (.*)", section, re.MULTILINE | re.DOTALL)
        assert places, section
        kept_by, tests = (re.findall(r"`(\w+/[\w/.-]+)`", part) for part in places.groups())
        assert kept_by, section
        assert tests, section
        assert [path for path in kept_by + tests if not (ROOT / path).is_file()] == []
        assert all(path.startswith("tests/") for path in tests)


def long_lines(page: Path) -> list[str]:
    """Return the lines of prose over 120 columns; tables, code and lines of one long word are exempt."""
    prose = re.sub(r"^ *```.*?^ *```", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    return [
        line
        for line in prose.splitlines()
        if len(line) > 120 and not line.lstrip().startswith(("|", "#", "<!--")) and " " in line.strip(" -")
    ]


@pages
def test_prose_is_wrapped_at_120_columns(page: Path) -> None:
    assert long_lines(page) == []


def decisions() -> list[Path]:
    return sorted((ROOT / "docs/decisions").glob("[0-9]*.md"))


def test_decisions_are_numbered_and_have_three_parts() -> None:
    assert [int(file.name[:4]) for file in decisions()] == list(range(1, len(decisions()) + 1))
    for file in decisions():
        for part in ("**Context.**", "**Decision.**", "**What was given up.**"):
            assert part in file.read_text(), f"{file.name} lacks {part}"


def test_every_decision_is_in_the_index_with_its_title_status_and_date() -> None:
    index = (ROOT / "docs/decisions/README.md").read_text()
    rows = re.findall(r"^\| \[(\d{4})\]\(([^)]+)\) \| (.+) \| (.+) \| (.+) \|$", index, re.MULTILINE)
    expected = []
    for file in decisions():
        lines = file.read_text().splitlines()
        [status] = [line.removeprefix("Status: ") for line in lines if line.startswith("Status: ")]
        [date] = [line.removeprefix("Date: ") for line in lines if line.startswith("Date: ")]
        assert re.fullmatch(r"accepted(, amended by \d{4}( and \d{4})*)?|superseded by \d{4}", status), file.name
        assert re.fullmatch(r"\d{4}-\d{2}-\d{2}", date), file.name
        expected.append((file.name[:4], file.name, lines[0].removeprefix(f"# {file.name[:4]} "), status, date))
    assert rows == expected


def test_the_change_log_has_a_place_for_what_is_not_released() -> None:
    assert "## [Unreleased]" in (ROOT / "CHANGELOG.md").read_text()


def test_commands_in_the_readme_are_words_of_a_shell() -> None:
    for block in re.findall(
        r"```(?:sh)?\n((?:make|kubectl|docker|helm|curl|export).*?)```", (ROOT / "README.md").read_text(), re.DOTALL
    ):
        shlex.split(block, comments=True)
