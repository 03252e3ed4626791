"""The scripts in local/, as far as they can be tried without a cluster."""

import json
import os
import subprocess
import sys
import time
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
        timeout=60,
        check=False,
    )


def ends(pid: Path) -> bool:
    """Wait at most 5 s until the process ends whose number is in the file. What only waits to be reaped has no command line."""
    command_line = Path(f"/proc/{pid.read_text().strip()}/cmdline")
    for _ in range(50):
        if not command_line.exists() or not command_line.read_bytes():
            return True
        time.sleep(0.1)
    return False


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

    def test_does_not_follow_what_only_another_image_is_made_of(self, repository: Path) -> None:
        (repository / "Dockerfile").write_text(
            "FROM scratch AS made\nCOPY src out\nFROM scratch\nCOPY --from=made /out /\n"
        )
        (repository / ".dockerignore").write_text("*\n!src\n!other\n")
        before = self.tag(repository)
        (repository / "other").mkdir()
        (repository / "other/main.py").write_text("print()")
        assert self.tag(repository) == before
        (repository / "src/main.py").write_text("print(1)")
        assert self.tag(repository) != before

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

    def version(self, tmp_path: Path, printed: str) -> subprocess.CompletedProcess[str]:
        program(tmp_path / "bin", "kind", f"echo '{printed}'")
        return bash(
            f". {LOCAL}/progress.sh; . {LOCAL}/engine-kind.sh; kind_version_check",
            LOCAL=str(LOCAL),
            WORK=str(tmp_path),
            PATH=f"{tmp_path}/bin:{os.environ['PATH']}",
        )

    @pytest.mark.parametrize("printed", ["kind v0.30.0 go1.24.6 linux/amd64", "kind v1.2.0 go1.30.0 linux/arm64"])
    def test_takes_a_kind_that_knows_its_node_image(self, tmp_path: Path, printed: str) -> None:
        assert self.version(tmp_path, printed).returncode == 0

    @pytest.mark.parametrize(
        "printed", ["kind v0.29.0 go1.24.2 linux/amd64", "kind v0.9.0 go1.15 linux/amd64", "no version"]
    )
    def test_refuses_another_kind_and_names_the_version_it_needs(self, tmp_path: Path, printed: str) -> None:
        checked = self.version(tmp_path, printed)
        assert checked.returncode != 0
        assert "kind 0.30.0 or later is needed" in checked.stderr


class TestStepsSideBySide:
    def run(self, script: str, tmp_path: Path) -> subprocess.CompletedProcess[str]:
        return bash(f". {LOCAL}/progress.sh; steps_begin {tmp_path}/steps; {script}")

    def test_run_at_the_same_time_and_their_durations_are_printed(self, tmp_path: Path) -> None:
        shown = self.run(
            f"""first() {{ timed "the first" wait_until 10 "the second" test -f {tmp_path}/second; }}
            second() {{ touch {tmp_path}/second; }}
            side_by_side first second; steps_print""",
            tmp_path,
        )
        assert shown.returncode == 0
        assert "s  the first" in shown.stderr
        assert "in all, on" in shown.stderr

    def test_end_together_when_one_fails_and_leave_no_process(self, tmp_path: Path) -> None:
        shown = self.run(
            f"""slow() {{ bash -c 'sleep 1000 & echo $! >{tmp_path}/pid; wait'; }}
            broken() {{ wait_until 10 "the pid" test -s {tmp_path}/pid; fail "broken: the tail of its log"; }}
            side_by_side slow broken; echo went on""",
            tmp_path,
        )
        assert shown.returncode == 1
        assert "FAILED: broken: the tail of its log" in shown.stderr
        assert "went on" not in shown.stdout
        assert ends(tmp_path / "pid")

    def test_end_with_the_script_that_is_ended(self, tmp_path: Path) -> None:
        shown = self.run(
            f"""slow() {{ bash -c 'sleep 1000 & echo $! >{tmp_path}/pid; wait'; }}
            ended() {{ wait_until 10 "the pid" test -s {tmp_path}/pid; kill -TERM $$; sleep 1000; }}
            side_by_side slow ended""",
            tmp_path,
        )
        assert shown.returncode != 0
        assert ends(tmp_path / "pid")

    def test_a_step_that_failed_has_no_duration(self, tmp_path: Path) -> None:
        self.run("""timed "good" true; timed "bad" false || true""", tmp_path)
        assert [line.split(maxsplit=3)[3] for line in (tmp_path / "steps").read_text().splitlines()] == ["good"]

    def test_a_build_tells_how_many_packages_it_has_built(self, tmp_path: Path) -> None:
        shown = self.run(
            """PROGRESS_INTERVAL=0
            printf '%s\\n' 'go: downloading k8s.io/api v0.34.4' k8s.io/api/core/v1 '# note' k8s.io/api/apps/v1 |
              packages_progress Kubernetes 2912""",
            tmp_path,
        )
        assert "building Kubernetes: 2 of at most 2912 packages, minute 1" in shown.stderr
        assert "go: downloading k8s.io/api v0.34.4" in shown.stdout


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


class TestTheFailuresOfSeveralRuns:
    def shown(self, folder: Path, **tests: str) -> list[str]:
        for name, body in tests.items():
            (folder / f"test_{name}.py").write_text(body)
            run = f"{sys.executable} -m pytest -q -p no:cacheprovider --rootdir . test_{name}.py --junitxml {name}.xml || true"
            bash(f"cd {folder} && {run}", PYTEST_DISABLE_PLUGIN_AUTOLOAD="1")
        return bash(f"python3 {LOCAL}/failures.py {folder}/*.xml {folder}/absent.xml").stdout.splitlines()

    def test_come_with_their_assertions_and_end_as_pytests_own(self, tmp_path: Path) -> None:
        body = "import pytest\nclass TestIt:\n  @pytest.mark.parametrize('n', [1])\n  def test_adds(self, n): assert n == 2\n"
        (tmp_path / "cut.xml").write_text("")  # of a run that was killed
        shown = self.shown(tmp_path, sums=body, passes="def test_well(): pass\n")
        assert "E   assert 1 == 2" in [line.replace("       assert", "   assert") for line in shown]
        *_, failed, last = shown
        assert failed == "FAILED test_sums.py::TestIt::test_adds[1] - assert 1 == 2"
        assert last.strip("=") == " 1 failed, 1 passed "

    def test_are_nothing_if_all_passed(self, tmp_path: Path) -> None:
        assert self.shown(tmp_path, passes="def test_well(): pass\n") == []


class TestKubectlsPlugin:
    def install(self, repository: Path, work: Path) -> subprocess.CompletedProcess[str]:
        return bash(
            f". {LOCAL}/plugin.sh; plugin_install && ls -l $WORK/bin",
            REPOSITORY=str(repository),
            WORK=str(work),
        )

    def test_is_that_of_the_developers_environment_where_there_is_one(self, tmp_path: Path) -> None:
        (tmp_path / ".venv").mkdir()
        program(tmp_path / ".venv/bin", "kubectl-sympozium", "echo")
        done = self.install(tmp_path, tmp_path / "work")
        assert f"kubectl-sympozium -> {tmp_path}/.venv/bin/kubectl-sympozium" in done.stdout
        assert f"kubectl_complete-sympozium -> {tmp_path}/.venv/bin/kubectl_complete-sympozium" in done.stdout

    def test_is_not_installed_again_while_nothing_changed(self, tmp_path: Path) -> None:
        for file in ("pyproject.toml", "constraints.txt"):
            (tmp_path / file).write_text(file)
        stamp = bash("cat $F/pyproject.toml $F/constraints.txt | sha256sum", F=str(tmp_path)).stdout
        (tmp_path / "work/plugin").mkdir(parents=True)
        (tmp_path / "work/plugin/installed").write_text(stamp)
        done = self.install(tmp_path, tmp_path / "work")
        assert f"kubectl-sympozium -> {tmp_path}/work/plugin/bin/kubectl-sympozium" in done.stdout
