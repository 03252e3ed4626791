import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from sympozium_cli import kubectl_completion
from sympozium_cli.app import run
from sympozium_cli.kubectl_completion import candidates

ANSWERS = {
    "get sympoziuminstances.sympozium.ai --output=name": ["sympoziuminstance.sympozium.ai/assistant", "x/analyst"],
    "get sympoziuminstances.sympozium.ai --output=name --namespace=b --context=c": ["x/bob"],
    "get agentruns.sympozium.ai --output=name": ["agentrun.sympozium.ai/assistant-1"],
    "get namespaces --output=name": ["namespace/default", "namespace/team-a"],
    "config get-contexts --output=name": ["work", "home"],
}


def lookup(words: Sequence[str]) -> list[str]:
    return ANSWERS.get(" ".join(words), [])


def words(*line: str) -> list[str]:
    return [candidate.split("\t")[0] for candidate in candidates(line, lookup)]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (["en"], ["enable"]),
        (["enable", ""], ["assistant", "analyst"]),
        (["enable", "as"], ["assistant"]),
        (["enable", "-n", "b", "--context=c", ""], ["bob"]),
        (["-n", "team-a", "cha"], ["chat"]),
        (["enable", "assistant", ""], []),
        (["chat", ""], ["assistant", "analyst"]),
        (["logs", "-f", ""], ["assistant-1"]),
        (["runs", "-n", ""], ["default", "team-a"]),
        (["runs", "--instance", "an"], ["analyst"]),
        (["--context", ""], ["work", "home"]),
        (["runs", "-o", ""], ["table", "wide", "json", "yaml", "name"]),
        (["runs", "--phase", "S"], ["Serving", "Succeeded"]),
        (["runs", "--phase=Failed", "--wat"], ["--watch"]),
        (["completion", ""], ["bash", "zsh", "fish"]),
        (["nothing", ""], []),
        (["runs", ""], []),
    ],
)
def test_words_that_may_follow(line: list[str], expected: list[str]) -> None:
    assert words(*line) == expected


def test_commands_and_options_have_descriptions() -> None:
    assert "runs\tList runs, the newest first." in candidates([""], lookup)
    assert all("\t" in candidate for candidate in candidates(["chat", "-"], lookup))


def test_kubectl_gets_candidates_and_a_directive_that_files_are_none(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["kubectl_complete-sympozium", "doc"])
    kubectl_completion.main()
    assert capsys.readouterr().out.splitlines()[-1] == ":4"
    monkeypatch.setenv("PATH", "/nowhere")
    assert kubectl_completion.ask_kubectl(["get"]) == []


def test_bash_completes_the_command_by_the_same_candidates(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["completion", "bash"]) == 0
    script = capsys.readouterr().out
    completer = tmp_path / "kubectl_complete-sympozium"
    completer.write_text('#!/bin/sh\nprintf "%s\\tdescription\\n:4\\n" "[$*]"\n')
    completer.chmod(0o755)
    words = (
        "COMP_WORDS=(kubectl-sympozium chat ''); COMP_CWORD=2; _kubectl_sympozium; printf '%s\\n' \"${COMPREPLY[@]}\""
    )
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    done = subprocess.run(["bash", "-c", f"{script}\n{words}"], capture_output=True, text=True, check=True)
    assert done.stdout == "\\[chat\\ \\]\n"
    completer.write_text("#!/bin/sh\nprintf '%s\\n' 'work' '$(touch made)' 'a;b' '--context' 'arn:aws:eks/x' ':4'\n")
    done = subprocess.run(["bash", "-c", f"{script}\n{words}"], capture_output=True, text=True, check=True)
    assert done.stdout.split("\n") == ["work", r"\$\(touch\ made\)", r"a\;b", "--context", "arn:aws:eks/x", ""]
