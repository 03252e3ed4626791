"""Print the failures of several runs of pytest once more, shortly, from their JUnit files: a CI that cuts its output keeps the end.

`failures.py FILE...` prints nothing if all tests passed. Its last lines are like those of pytest's own summary.
"""

import sys
from collections import Counter
from pathlib import Path
from xml.etree import ElementTree as ET

LINES_EACH, LINES = 12, 60
"""Most lines of one failure's assertion, and of all together."""
WIDTH = 200


def main(files: list[str]) -> None:
    """Print what failed in these runs."""
    cases = [case for file in files if Path(file).exists() for case in cases_of(file)]
    outcomes = [(outcome_of(case), case) for case in cases]
    failed = [(outcome, case) for outcome, case in outcomes if outcome in ("failed", "error")]
    if not failed:
        return
    left = LINES
    say(" all failures once more, shortly ".center(80, "="))
    for _, case in failed:
        lines = assertion(case)[: min(left, LINES_EACH)]
        left -= len(lines)
        if lines:
            say(f" {test_id(case)} ".center(80, "_"), *lines)
    say(" short test summary info ".center(80, "="))
    say(*(f"{outcome.upper():6} {test_id(case)} - {first_line(case)}" for outcome, case in failed))
    counts = Counter(outcome for outcome, _ in outcomes)
    numbers = ", ".join(
        f"{counts[outcome]} {outcome}" for outcome in ("failed", "passed", "skipped", "error") if counts[outcome]
    )
    say(f" {numbers} ".center(80, "="))


def cases_of(file: str) -> list[ET.Element]:
    """Return the tests of a file; none of one that is not whole, because its run was killed or the disk was full."""
    try:
        return list(ET.parse(file).iter("testcase"))  # noqa: S314 - pytest wrote it
    except ET.ParseError as error:
        say(f"{file} is not whole: {error}")
        return []


def outcome_of(case: ET.Element) -> str:
    """Return pytest's word for a test's outcome."""
    words = {"failure": "failed", "error": "error", "skipped": "skipped"}
    return next((words[child.tag] for child in case if child.tag in words), "passed")


def test_id(case: ET.Element) -> str:
    """Return a test's id as pytest prints it: of its class's dotted name, the module ends with the first part ``test_...``."""
    parts = case.get("classname", "").split(".")
    end = next((number for number, part in enumerate(parts, 1) if part.startswith("test_")), len(parts))
    path = "/".join(parts[:end]) + ".py" if parts != [""] else ""
    return "::".join(filter(None, [path, *parts[end:], case.get("name", "")]))


def assertion(case: ET.Element) -> list[str]:
    """Return the lines of a failure that pytest marks with E; without any, its last ones."""
    lines = [line for child in case for line in (child.text or "").splitlines() if child.tag in ("failure", "error")]
    return [line[:WIDTH] for line in lines if line.startswith("E ")] or [line[:WIDTH] for line in lines[-3:]]


def first_line(case: ET.Element) -> str:
    """Return the beginning of a failure's message."""
    messages = [child.get("message", "") for child in case if child.tag in ("failure", "error")]
    return next(iter("".join(messages).splitlines()), "")[:WIDTH]


def say(*lines: str) -> None:
    """Print lines."""
    sys.stdout.write("".join(f"{line}\n" for line in lines))


if __name__ == "__main__":
    main(sys.argv[1:])
