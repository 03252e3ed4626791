"""The versions of clients: what the guide's table says is what ``local/clients.sh`` and ``constraints.txt`` pin."""

import re

from tests.contract.documents import ROOT

GUIDE = (ROOT / "docs/guides/openai-clients.md").read_text()
NOT_IN_THE_TABLE = {
    "AI_SDK",
    "AXE",
    "JACKSON_ANNOTATIONS",
    "MCP_CONFORMANCE",
    "NODE_FOR_MCP",
    "MAVEN_DEPENDENCY_PLUGIN",
    "ZOD",
}
"""Pins of what is no client, and of one that the table names twice."""


def pinned() -> dict[str, str]:
    """Return the versions that ``local/clients.sh`` pins, by their variable."""
    script = (ROOT / "local/clients.sh").read_text()
    lines = [line for line in script.splitlines() if re.match(r"[A-Z0-9_]+=[\d.]", line)]
    return dict(pin for line in lines for pin in re.findall(r"\b([A-Z][A-Z0-9_]*)=([\w.-]+)", line))


def rows() -> list[tuple[str, list[str]]]:
    """Return the client and the versions of each row of the table."""
    table = GUIDE.partition("## Tested clients")[2].partition("\n\nNot among them")[0]
    cells = [line.split("|")[1:3] for line in table.splitlines() if line.startswith("|")][2:]
    return [(client.strip(), [version.strip() for version in versions.split(",")]) for client, versions in cells]


def test_the_table_has_each_version_that_is_pinned_and_no_other() -> None:
    constraints = dict(re.findall(r"^([\w-]+)==(\S+)", (ROOT / "constraints.txt").read_text(), re.MULTILINE))
    wanted = [version for name, version in pinned().items() if name not in NOT_IN_THE_TABLE]
    wanted += [constraints["openai"], constraints["mcp"], *[pinned()["AI_SDK"]] * 2]
    assert sorted(version for _, versions in rows() for version in versions) == sorted(wanted)


def test_each_client_of_the_table_is_installed_under_its_packages_name() -> None:
    installed = (ROOT / "local/clients.sh").read_text() + (ROOT / "constraints.txt").read_text()
    packages = [package for client, _ in rows() for package in re.findall(r"`([^`]+)`", client)]
    assert len(packages) > 20
    assert [package for package in packages if package not in installed] == []
