"""The kubectl lines that do or show the same as the UI. Pure."""

import shlex
from collections.abc import Sequence

from sympozium_api.resources import CONFIGS, INSTANCES, RUNS, SKILL_PACKS, Object, ResourceType
from sympozium_cli.output import json_text
from sympozium_cli.tui.views.reading import Key

_SHORT = {
    INSTANCES.plural: "instance",
    RUNS.plural: "run",
    SKILL_PACKS.plural: "skillpack",
    CONFIGS.plural: "sympoziumconfig",
}


def kubectl(args: Sequence[str], *words: str) -> str:
    """Return a line for a shell. ``args`` are those that lead to the user's cluster, e.g. ``--context``."""
    return shlex.join(["kubectl", *args, *words])


def of_list(args: Sequence[str], kind: ResourceType, namespace: str | None) -> str:
    """Return the line that lists a kind."""
    return kubectl(args, "get", kind.plural, *(("-n", namespace) if namespace else ("-A",)))


def of_object(args: Sequence[str], verb: str, kind: ResourceType, key: Key, *more: str) -> str:
    """Return the line that gets, describes, edits or deletes an object."""
    return kubectl(args, verb, _SHORT.get(kind.plural, kind.plural), key[1], "-n", key[0], *more)


def of_patch(args: Sequence[str], kind: ResourceType, key: Key, patch: Object) -> str:
    """Return the line that changes an object by a merge patch."""
    return of_object(args, "patch", kind, key, "--type", "merge", "-p", json_text(patch, indent=None))


def of_logs(args: Sequence[str], namespace: str, pod: str) -> str:
    """Return the line that shows an agent's log."""
    return kubectl(args, "logs", pod, "-n", namespace, "-c", "agent")


def words(line: str) -> list[str]:
    """Return the words of a line."""
    return shlex.split(line)
