"""The account: what every caller was told, beside the runs that the cluster holds."""

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import Any

from sympozium_api import run_contents
from sympozium_api.client import Client, Snapshot, watch
from sympozium_api.resources import RUNS
from sympozium_api.run import AgentRun

TERMINAL = ("Succeeded", "Failed", "Cancelled")
Object = dict[str, Any]


@dataclass(frozen=True)
class Told:
    """An end that a caller was told."""

    run: str
    text: str | None
    """The whole answer; None: an error."""
    code: str = ""
    """Code of the error: the run's type of error, or the model's own."""


@dataclass
class Request:
    """A caller's request, with all its repetitions, and what it was told."""

    kind: str
    nonce: str
    """The text of its message, which no other request has."""
    has_key: bool = False
    may_cancel: bool = False
    """Its caller left or cancelled, so that its run may end Cancelled."""
    tries: int = 0
    broken: int = 0
    """Connections that broke before an end was told."""
    refused: Counter[str] = field(default_factory=Counter)
    """Codes of refusals after which the caller came again."""
    told: list[Told] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    """Promises that its caller saw broken."""


@dataclass
class Runs:
    """Every run of a namespace, by a watch that goes on through all faults."""

    latest: dict[str, Object] = field(default_factory=dict)
    ends: dict[str, Object] = field(default_factory=dict)
    """The first terminal status of each run, by name."""
    faults: list[str] = field(default_factory=list)

    async def follow(self, client: Client, namespace: str) -> None:
        """Record the runs until cancelled."""
        async for event in watch(client, RUNS, namespace):
            for run in event.items if isinstance(event, Snapshot) else [event.object]:
                self._see(run)

    def _see(self, run: Object) -> None:
        name, status = run["metadata"]["name"], run.get("status", {})
        self.latest[name] = run
        if (end := self.ends.get(name)) is not None and end != status:
            self.faults.append(f"{name}: its terminal status changed from {_short(end)} to {_short(status)}")
        if status.get("phase") in TERMINAL:
            self.ends.setdefault(name, status)

    def open(self) -> list[str]:
        """Return the names of the runs of requests that have not ended."""
        return [
            name for name, run in self.latest.items() if run["spec"].get("mode") != "server" and name not in self.ends
        ]


def settle(requests: list[Request], runs: Runs, asked: dict[str, int]) -> list[str]:
    """Return every broken promise; ``asked``: how often the model was asked for each nonce."""
    faults = [*runs.faults, *(f"{name} has not ended" for name in runs.open())]
    by_nonce: defaultdict[str, list[str]] = defaultdict(list)
    for name, run in runs.latest.items():
        if nonce := _nonce(run):
            by_nonce[nonce].append(name)
    for request in requests:
        title = f"{request.kind} {request.nonce}"
        names = by_nonce[request.nonce]
        ends = {name: runs.ends[name] for name in names if name in runs.ends}
        faults += [f"{title}: {fault}" for fault in request.faults]
        faults += [f"{title}: {fault}" for fault in _wrong(request, names, ends)]
        if asked.get(request.nonce, 0) > max(len(names), 1):
            faults.append(f"{title}: {len(names)} runs, but the model was asked {asked[request.nonce]} times")
    return faults


def _wrong(request: Request, names: list[str], ends: dict[str, Object]) -> list[str]:
    """Return what the caller was told wrongly.

    Without a key, a refusal (503, the API server is away) may leave a run whose creation was in doubt; it is cancelled.
    """
    found = []
    uncancelled = [name for name, end in ends.items() if end["phase"] != "Cancelled"]
    if len(uncancelled) > 1 or (len(names) > 1 and not request.has_key and not request.refused):
        found.append(f"one request made the runs {[f'{name} {_short(ends.get(name, {}))}' for name in names]}")
    if not request.may_cancel and len(uncancelled) != len(ends):
        found.append("its run was cancelled, although its caller was there")
    if request.kind != "streamed" and not request.told and not request.may_cancel:
        found.append(f"its caller was never told an end; its runs: {names}")
    for told in request.told:
        if (end := ends.get(told.run)) is None:
            found.append(f"the end of {told.run} was told, but the run is not there")
        elif told.text is not None and (end["phase"] != "Succeeded" or end.get("result", "") != told.text):
            found.append(f"told {told.text[:40]!r}, stored {_short(end)}")
        elif told.text is None and told.code not in (
            end.get("error", {}).get("type"),
            end.get("error", {}).get("code"),
        ):
            found.append(f"told {told.code}, stored {_short(end)}")
    return found


def _nonce(run: Object) -> str | None:
    """Return the message of a run, from its task or its request."""
    messages = run_contents.request(AgentRun.model_validate(run)).get("messages") or [
        {"content": run["spec"].get("task")}
    ]
    content = messages[-1].get("content")
    return content if isinstance(content, str) else content[0]["text"] if content else None


def _short(status: Object) -> str:
    return f"{status.get('phase')} {status.get('error', {}).get('type', '')} {str(status.get('result', ''))[:40]!r}"


def table(requests: list[Request], runs: Runs, faults: list[str], done: Counter[str]) -> str:
    """Return the account as text."""
    kinds: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for request in requests:
        count = kinds[request.kind]
        count["requests"] += 1
        count["tries"] += request.tries
        count["broken"] += request.broken
        count["refused, came again"] += request.refused.total()
        for told in request.told[:1]:
            count["answered" if told.text is not None else f"failed {told.code}"] += 1
    phases = Counter(end["phase"] for end in runs.ends.values())
    lines = [
        f"faults from outside: {done.total()} {dict(done)}",
        f"runs by end: {dict(phases)}; open: {len(runs.open())}",
    ]
    lines += [f"{kind}: {dict(count)}" for kind, count in sorted(kinds.items())]
    refusals = sum((request.refused for request in requests), Counter[str]())
    lines += [f"refusals: {dict(refusals)}", f"broken promises: {len(faults)}", *faults[:100]]
    return "\n".join(lines)
