"""The scripts in local/, as far as they can be tried without a cluster."""

import json
import os
import subprocess
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
LOCAL = REPOSITORY / "local"
SCRIPTS = sorted(LOCAL.rglob("*.sh"))


def bash(script: str, *, standard_input: str = "", **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        input=standard_input,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )


def program(folder: Path, name: str, body: str) -> None:
    """A stand-in for a program on the PATH."""
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(f"#!/bin/sh\n{body}\n")
    (folder / name).chmod(0o755)


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.name)
def test_every_script_begins_by_saying_what_it_is_for(script: Path) -> None:
    first, second, *_ = script.read_text().splitlines()
    assert first == "#!/usr/bin/env bash" or first.startswith("# shellcheck shell=bash")
    assert second.startswith("# ")
    assert os.access(script, os.X_OK) == first.startswith("#!")


class TestTheTagOfAnImage:
    @pytest.fixture
    def repository(self, tmp_path: Path) -> Path:
        (tmp_path / "src").mkdir()
        (tmp_path / "src/main.py").write_text("print()")
        (tmp_path / "Dockerfile").write_text("FROM scratch\nCOPY . .\n")
        (tmp_path / ".dockerignore").write_text("# what the image is made of\n*\n!src\n")
        return tmp_path

    def tag(self, repository: Path) -> str:
        made = bash(f". {LOCAL}/images.sh; image_tag . Dockerfile", REPOSITORY=str(repository))
        assert made.returncode == 0, made.stderr
        return made.stdout.strip()

    def test_is_the_same_for_the_same_content(self, repository: Path) -> None:
        before = self.tag(repository)
        (repository / "src/main.py").touch()
        assert self.tag(repository) == before
        assert before.startswith("dev-")

    @pytest.mark.parametrize("name", ["src/main.py", "src/added.py", "Dockerfile"])
    def test_follows_what_the_build_sees(self, repository: Path, name: str) -> None:
        before = self.tag(repository)
        (repository / name).write_text("# changed")
        assert self.tag(repository) != before

    @pytest.mark.parametrize("name", ["README.md", "src/__pycache__/main.pyc"])
    def test_does_not_follow_the_rest(self, repository: Path, name: str) -> None:
        before = self.tag(repository)
        (repository / name).parent.mkdir(exist_ok=True)
        (repository / name).write_text("anything")
        assert self.tag(repository) == before

    def test_does_not_depend_on_where_the_repository_lies(self, repository: Path, tmp_path: Path) -> None:
        before = self.tag(repository)
        assert self.tag(repository.rename(tmp_path.with_name("elsewhere"))) == before


class TestTheEngine:
    def choice(self, tmp_path: Path) -> str:
        chosen = bash(
            f'. {LOCAL}/engine.sh; echo "$ENGINE"',
            LOCAL=str(LOCAL),
            WORK=str(tmp_path),
            PATH=f"{tmp_path}/bin:{os.environ['PATH']}",
        )
        return chosen.stdout.strip() or chosen.stderr

    def test_is_kind_where_a_docker_server_answers(self, tmp_path: Path) -> None:
        program(tmp_path / "bin", "docker", "echo 28.0.0")
        assert self.choice(tmp_path) == "kind"

    def test_is_our_own_where_only_the_docker_client_is_installed(self, tmp_path: Path) -> None:
        program(tmp_path / "bin", "docker", "echo 'Cannot connect to the Docker daemon' >&2; exit 1")
        assert self.choice(tmp_path) == "own"


class TestTheRecordOfTheNode:
    """Its process is killed by `down`: a number that was used again must never be taken for it."""

    def recognised(self, tmp_path: Path, record: str) -> bool:
        (tmp_path / "machine").write_text(record)
        return bash(f"STATE={tmp_path}; . {LOCAL}/cluster/machine.sh; machine_pid").returncode == 0

    def test_is_recognised_by_pid_start_and_boot(self, tmp_path: Path) -> None:
        pid = os.getpid()
        started = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        assert self.recognised(tmp_path, f"{pid} {started} {boot}\n")
        assert not self.recognised(tmp_path, f"{pid} {int(started) - 1} {boot}\n")
        assert not self.recognised(tmp_path, f"{pid} {started} another-boot\n")
        assert not self.recognised(tmp_path, f"4194304 {started} {boot}\n")
        assert not self.recognised(tmp_path, "")

    @pytest.mark.parametrize("name", ["default", "lock", "sympozium/..", "../netns", ""])
    def test_bears_a_name_that_can_only_be_ours(self, name: str) -> None:
        checked = bash(
            f". {LOCAL}/progress.sh; . {LOCAL}/cluster/settings.sh; CLUSTER={name!r}; check_settings", HOME="/home/user"
        )
        assert checked.returncode != 0
        assert "SYMPOZIUM_CLUSTER" in checked.stderr


class TestThePrintedStream:
    def printed(self, *lines: str) -> subprocess.CompletedProcess[str]:
        return bash(f"python3 {LOCAL}/print_stream.py", standard_input="\n\n".join(lines))

    def chunk(self, text: str) -> str:
        return "data: " + json.dumps({"choices": [{"delta": {"content": text}}]})

    def test_is_the_text_in_one_piece(self) -> None:
        shown = self.printed(self.chunk("Blue"), self.chunk(" light"), 'data: {"choices": []}', "data: [DONE]")
        assert shown.returncode == 0
        assert shown.stdout.startswith("Blue light\n")
        assert "[2 pieces" in shown.stdout

    def test_fails_when_it_breaks_off(self) -> None:
        assert self.printed(self.chunk("Blue")).returncode == 1

    def test_fails_with_the_error_that_came_instead(self) -> None:
        shown = self.printed('{"error": {"message": "no such key"}}')
        assert shown.returncode == 1
        assert "no such key" in shown.stderr

    def test_fails_with_the_error_that_came_in_the_middle(self) -> None:
        shown = self.printed(self.chunk("Blue"), 'data: {"error": {"message": "the model is gone"}}')
        assert shown.returncode == 1
        assert "the model is gone" in shown.stderr
