"""States of a list, and the sentences that say what is wrong and what helps. Pure."""

from dataclasses import dataclass
from datetime import datetime

from sympozium_api.client import ApiError
from sympozium_api.names import GROUP
from sympozium_api.resources import ResourceType
from sympozium_cli.plain_text import plain
from sympozium_cli.tui.views.lines import Line

INSTALL_CRDS = "helm install sympozium-crds charts/sympozium-crds"


@dataclass(frozen=True)
class Reading:
    """The first list is being read."""

    done: int = 0
    remaining: int | None = None


@dataclass(frozen=True)
class Live:
    """The list is whole, and a watch keeps it so."""


@dataclass(frozen=True)
class Forbidden:
    """The user may not list or watch the kind there."""

    message: str


@dataclass(frozen=True)
class NotInstalled:
    """The cluster does not know the kind."""


@dataclass(frozen=True)
class Refused:
    """The API server refuses the list for another reason."""

    message: str


State = Reading | Live | Forbidden | NotInstalled | Refused


def state_of(error: ApiError) -> State:
    """Return the state of a list that the API server refuses."""
    if error.forbidden:
        return Forbidden(plain(error.message))
    return NotInstalled() if error.not_found else Refused(plain(error))


def place(namespace: str | None) -> str:
    """Return the words for one namespace or for all."""
    return f"namespace {namespace}" if namespace else "all namespaces"


def away_line(since: datetime, as_of: datetime | None) -> Line:
    """Return the sentence over rows while the cluster does not answer."""
    dated = f"rows as of {as_of.astimezone():%H:%M:%S}" if as_of else "nothing was read yet"
    return Line(f"✗ Cluster away since {since.astimezone():%H:%M:%S}; {dated}. Trying again; r: now.", "bad")


def trouble(state: State, kind: ResourceType, namespace: str | None) -> list[Line]:
    """Return what stands in the place of rows that cannot be read; nothing where they can."""
    if isinstance(state, Forbidden):
        scope = f"-n {namespace}" if namespace else "-A"
        return [
            Line(f"✗ You need the verbs list and watch on {kind.plural} in {place(namespace)}.", "bad"),
            *([] if namespace else [Line("  With rights in one namespace only: press n and choose it.")]),
            Line("  Else ask who administers the cluster for a Role with them. Check it with"),
            Line(f"  kubectl auth can-i list {kind.plural}.{kind.group or 'core'} {scope}", "strong"),
            Line(),
            Line(f"  {state.message}", "dim"),
        ]
    if isinstance(state, NotInstalled):
        return [
            Line(f"✗ This cluster has no {kind.plural}: the CRDs of {GROUP} are not installed.", "bad"),
            Line("  Who administers the cluster installs them with"),
            Line(f"  {INSTALL_CRDS}", "strong"),
            Line("  The list appears here by itself as soon as they are there."),
        ]
    if isinstance(state, Refused):
        return [Line("✗ The API server refuses the list. Trying again.", "bad"), Line(f"  {state.message}", "dim")]
    return []


def empty(view: str, namespace: str | None) -> list[Line]:
    """Return the sentence for a list without objects, with the next step."""
    where = place(namespace)
    steps = {
        "instances": "Press a to make one, or: kubectl apply -f examples/instance.yaml",
        "runs": "Each request makes one. Press 1, then c on an instance to chat or R to run a task.",
        "skills": "The chart brings the pack web-endpoint. docs/guides/skills.md shows how to write one.",
        "config": "A gateway needs one in the operator's namespace: docs/guides/gateway.md shows it.",
        "events": "Kubernetes keeps events for an hour.",
        "usage": "Usage counts runs, and there are none.",
    }
    widen = " 0 shows all namespaces." if namespace else ""
    return [Line(f"No {view} in {where}.{widen}", "strong"), Line(steps[view])]


def no_match(text: str, hidden: int) -> list[Line]:
    """Return the sentence for a filter that lets nothing through."""
    return [
        Line(f"The filter “{plain(text)}” hides all {hidden} rows.", "strong"),
        Line("Esc clears it, / changes it."),
    ]
