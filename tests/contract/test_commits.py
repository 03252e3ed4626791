"""``.ci/check-commits`` in a temporary repository: which commits it refuses, and which it does not look at."""

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.contract.documents import ROOT

BODY = "A body says why."
IDENTITY = {
    f"GIT_{role}_{field}": "test@example.com" for role in ("AUTHOR", "COMMITTER") for field in ("NAME", "EMAIL")
}
ENVIRONMENT = {
    **{name: value for name, value in os.environ.items() if not name.startswith("GIT_")},
    **IDENTITY,
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_SYSTEM": os.devnull,
}


@dataclass
class Repository:
    """A repository with the script in it; its first commit is the one that ``.ci/commits-from`` names."""

    folder: Path

    def git(self, *arguments: str) -> str:
        done = subprocess.run(
            ["git", *arguments], cwd=self.folder, env=ENVIRONMENT, capture_output=True, text=True, check=True
        )
        return done.stdout.strip()

    def commit(self, subject: str, body: str = BODY) -> None:
        self.git("commit", "--quiet", "--allow-empty", "--cleanup=verbatim", "--message", subject, "--message", body)

    def check(self) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [self.folder / ".ci/check-commits"], cwd="/", env=ENVIRONMENT, capture_output=True, text=True, check=False
        )

    def refusals(self) -> list[str]:
        """Return what follows the commit's hash in each line; the exit status says the same."""
        done = self.check()
        lines = done.stderr.splitlines()
        assert (done.returncode, done.stdout) == (1 if lines else 0, "")
        assert all(line.startswith("commit ") for line in lines)
        return [line.split(": ", 1)[1] for line in lines]


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    made = Repository(tmp_path / "repository")
    (made.folder / ".ci").mkdir(parents=True)
    shutil.copy(ROOT / ".ci/check-commits", made.folder / ".ci")
    made.git("init", "--quiet", "--initial-branch=main")
    made.commit("x" * 80, body="")
    (made.folder / ".ci/commits-from").write_text(made.git("rev-parse", "HEAD") + "\n")
    return made


def test_the_named_commit_is_written_in_full() -> None:
    named = (ROOT / ".ci/commits-from").read_text().strip()
    assert len(named) == 40
    assert set(named) <= set("0123456789abcdef")


def test_the_named_commit_and_those_before_it_are_not_checked(repository: Repository) -> None:
    assert repository.refusals() == []


@pytest.mark.parametrize("subject", ["Name the change", "x" * 72, "ü" * 72])
def test_a_commit_with_a_short_subject_and_a_body_passes(repository: Repository, subject: str) -> None:
    repository.commit(subject)
    assert repository.refusals() == []


def test_a_subject_of_more_than_72_characters_is_refused(repository: Repository) -> None:
    repository.commit("x" * 73)
    repository.commit("Another one that passes")
    assert repository.refusals() == [f"the subject has 73 characters, at most 72 are allowed: {'x' * 73}"]


@pytest.mark.parametrize("body", ["", " \n\t\n"])
def test_an_empty_body_is_refused(repository: Repository, body: str) -> None:
    repository.commit("Name the change", body)
    assert repository.refusals() == ["the body is empty, it should say why: Name the change"]


def test_every_commit_at_fault_is_named(repository: Repository) -> None:
    for subject in ("First", "Second"):
        repository.commit(subject, body="")
    repository.commit("x" * 73, body="")
    assert len(repository.refusals()) == 4


def test_merge_commits_are_exempt_and_their_branches_are_not(repository: Repository) -> None:
    repository.git("switch", "--quiet", "--create", "branch")
    repository.commit("On the branch", body="")
    repository.git("switch", "--quiet", "main")
    repository.commit("On main")
    repository.git("merge", "--quiet", "--no-ff", "branch", "--message", "x" * 90)
    assert repository.refusals() == ["the body is empty, it should say why: On the branch"]


def test_a_copy_without_history_is_not_checked(repository: Repository) -> None:
    repository.commit("Name the change", body="")
    shutil.rmtree(repository.folder / ".git")
    assert repository.refusals() == []


def test_a_shallow_clone_without_the_named_commit_is_not_checked(repository: Repository, tmp_path: Path) -> None:
    shutil.copy(ROOT / ".ci/check-commits", repository.folder / ".ci")
    repository.git("add", ".")
    repository.commit("Name the change", body="")
    repository.commit("x" * 73)
    clone = Repository(tmp_path / "clone")
    repository.git("clone", "--quiet", "--depth=1", repository.folder.as_uri(), str(clone.folder))
    assert clone.refusals() == []
