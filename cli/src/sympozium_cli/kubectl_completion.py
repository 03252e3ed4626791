"""``kubectl_complete-sympozium``, which kubectl runs to complete ``kubectl sympozium ...``: words so far in, candidates out.

The output is that of Cobra, which kubectl is made of: a candidate per line, a tab and its description, at last a directive.
"""

import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable, Sequence
from enum import StrEnum
from typing import Any, Literal, get_args, get_origin

import typer

from sympozium_cli.app import app
from sympozium_cli.plain_text import plain

_NO_FILES = ":4"
"""Cobra's directive that files are no candidates."""
_KINDS = {"INSTANCE": "sympoziuminstances.sympozium.ai", "RUN": "agentruns.sympozium.ai"}
"""Kinds whose names an argument takes, by the argument's name in the help."""
_KUBECTL = ("--namespace", "--context", "--kubeconfig", "--as")
_SECONDS = 3.0

Lookup = Callable[[Sequence[str]], list[str]]
"""Lines that kubectl prints for these words; none if it fails."""


def main() -> None:
    """Print the candidates for the last word of this process's command line."""
    for line in candidates(sys.argv[1:], ask_kubectl):
        print(line)
    print(_NO_FILES)


def ask_kubectl(words: Sequence[str]) -> list[str]:
    """Return the lines that kubectl prints; none if it fails, or takes long."""
    command = [shutil.which("kubectl") or "kubectl", *words]
    try:
        done = subprocess.run(  # noqa: S603 - the words are kubectl's own options and kinds
            command, capture_output=True, text=True, timeout=_SECONDS, check=True, stdin=subprocess.DEVNULL
        )
    except (OSError, subprocess.SubprocessError, UnicodeDecodeError):
        return []
    return [plain(line) for line in done.stdout.splitlines()]


def candidates(words: Sequence[str], lookup: Lookup) -> list[str]:
    """Return the candidates for the last of the words, each with a tab and its description if it has one."""
    *before, unfinished = words or [""]
    return [line for line in _candidates(before, unfinished, lookup) if line.startswith(unfinished)]


def _candidates(before: list[str], unfinished: str, lookup: Lookup) -> Iterable[str]:
    group: Any = typer.main.get_command(app)
    command, used, given, open_option = group, list[str](), dict[str, str](), None
    for word in before:
        if open_option:
            given[open_option.opts[0]], open_option = word, None
        elif word.startswith("-"):
            name, _, value = word.partition("=")
            option = _option(command, name)
            open_option = option if option and not option.is_flag and not value else None
            given |= {option.opts[0]: value} if option and value else {}
        elif command is group:
            command = group.commands.get(word)
            if command is None:
                return []
        else:
            used.append(word)
    if open_option:
        return _values(open_option, given, lookup)
    if unfinished.startswith("-"):
        return [f"{max(option.opts, key=len)}\t{option.help or ''}" for option in _options(command)]
    if command is group:
        return [f"{name}\t{each.get_short_help_str()}" for name, each in group.commands.items() if not each.hidden]
    arguments = [each for each in command.params if each.param_type_name == "argument"]
    if len(used) >= len(arguments):
        return []
    argument = arguments[len(used)]
    return _choices(argument) or _names(_KINDS.get(argument.metavar or "", ""), given, lookup)


def _options(command: Any) -> list[Any]:
    return [each for each in command.params if each.param_type_name == "option"]


def _option(command: Any, name: str) -> Any:
    return next((option for option in _options(command) if name in option.opts), None)


def _values(option: Any, given: dict[str, str], lookup: Lookup) -> list[str]:
    if "--namespace" in option.opts:
        return _names("namespaces", given, lookup)
    if "--instance" in option.opts:
        return _names(_KINDS["INSTANCE"], given, lookup)
    if "--context" in option.opts:
        return lookup(["config", "get-contexts", "--output=name"])
    return _choices(option)


def _choices(parameter: Any) -> list[str]:
    annotation = parameter.type_descriptor.annotation
    if isinstance(annotation, type) and issubclass(annotation, StrEnum):
        return [str(member) for member in annotation]
    return list(get_args(annotation)) if get_origin(annotation) is Literal else []


def _names(kind: str, given: dict[str, str], lookup: Lookup) -> list[str]:
    if not kind:
        return []
    options = [f"{name}={given[name]}" for name in _KUBECTL if name in given]
    return [line.rpartition("/")[2] for line in lookup(["get", kind, "--output=name", *options])]
