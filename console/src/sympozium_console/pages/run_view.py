"""A run as its page shows it: read from Kubernetes, or from the archive once it is gone."""

import json
from dataclasses import dataclass, field
from typing import Any

from fastapi import Request
from pydantic import ValidationError

from sympozium_api import names
from sympozium_api.base import Condition
from sympozium_api.client import ApiError
from sympozium_api.failed_run_advice import what_helps
from sympozium_api.resources import RUNS, Object
from sympozium_api.run import AgentRun, without_contents
from sympozium_api.run_status import TERMINAL_PHASES, RunError, RunStep
from sympozium_archive.run_contents import Contents
from sympozium_archive.run_queries import RunFilter
from sympozium_archive.run_rows import RunRow
from sympozium_console import console_context
from sympozium_console.pages.run_messages import ShownContent
from sympozium_console.pages.run_timeline_bar import TimelineBar
from sympozium_console.routes.access import SUMMARIES, may_see
from sympozium_console.run_timeline import Timeline
from sympozium_domain.stored_runs.run_content import content_of

_MICRO = 1_000_000


@dataclass(frozen=True)
class RunView:
    """Content of a run's page. None: not known."""

    namespace: str
    name: str
    uid: str
    phase: str
    facts: list[tuple[str, str | int | None]]
    """Facts of the run: name and value."""
    instance: str | None
    session: str | None = None
    parent: str | None = None
    error: RunError | None = None
    error_word: str | None = None
    """Type of the error where that is all that is known."""
    bar: TimelineBar | None = None
    content: ShownContent | None = None
    """None: the caller may not see it, or it is not kept; ``without`` says which."""
    without: str = ""
    steps: list[RunStep] = field(default_factory=list)
    conditions: list[Condition] = field(default_factory=list)
    body: Object | None = None
    """The object, without its content unless the caller may see it; None: it is gone from Kubernetes."""
    deleted: float | None = None
    """Seconds since 1970 at which it was gone."""
    is_server: bool = False
    accepted: float | None = None

    @property
    def path(self) -> str:
        """Address of the page."""
        return f"/runs/{self.namespace}/{self.name}"

    @property
    def has_ended(self) -> bool:
        """True if nothing more happens to the run."""
        return self.phase in TERMINAL_PHASES or self.body is None

    @property
    def helps(self) -> str:
        """Advice about its error."""
        return what_helps(self.error.type) if self.error else ""


async def find_run(request: Request, namespace: str, name: str) -> RunView | None:
    """Return a run; None if neither Kubernetes nor the archive has it, or the caller may not see it. Raises ApiError, ApiUnavailable and
    DatabaseUnavailable.
    """
    may_read = await may_see(request, "get", RUNS, namespace)
    if not may_read and not await may_see(request, "get", SUMMARIES, namespace):
        return None
    context = console_context.of_request(request)
    try:
        body = await context.runs.get(namespace, name)
    except ApiError as error:
        if not error.not_found:
            raise
        return await _archived(request, namespace, name, may_read=may_read)
    return _live(body, may_read=may_read)


def _live(body: Object, *, may_read: bool) -> RunView:
    shown = body if may_read else without_contents(body)
    metadata = body["metadata"]
    try:
        run = AgentRun.model_validate(body)
    except ValidationError:
        return RunView(
            namespace=metadata["namespace"],
            name=metadata["name"],
            uid=metadata["uid"],
            phase="Unreadable",
            facts=[],
            instance=None,
            without="This version cannot read the run; its YAML is what Kubernetes has.",
            body=shown,
        )
    status, usage = run.status, run.status.token_usage
    model = run.spec.model
    timeline = Timeline.of(run)
    return RunView(
        namespace=run.metadata.namespace,
        name=run.metadata.name,
        uid=run.metadata.uid,
        phase=status.phase or "Pending",
        facts=[
            ("Model", status.model or (model.model if model else None)),
            ("Source", run.metadata.labels.get(names.LABEL_SOURCE) or "kubectl"),
            ("Caller", run.spec.caller.user if run.spec.caller else None),
            ("API key", run.metadata.annotations.get(names.ANNOTATION_KEY_ID)),
            ("Start", status.start),
            ("Place in the queue", status.queue_position),
            ("Duration", status.duration),
            ("Input tokens", usage.input_tokens if usage else None),
            ("Output tokens", usage.output_tokens if usage else None),
            ("Tool calls", (usage.tool_calls or None) if usage else None),
            ("Stopped by", status.finish_reason),
            ("Time limit", run.spec.timeout),
            ("Job", status.job_name),
            ("Pod", status.pod_name),
            ("Cancellation", "asked for" if run.spec.cancel and not run.ended else None),
        ],
        instance=run.spec.agent_ref,
        session=run.spec.session_key,
        parent=run.spec.parent,
        error=status.error,
        bar=TimelineBar.of(timeline),
        content=ShownContent.of(content_of(run)) if may_read and run.spec.mode != "server" else None,
        without=""
        if may_read
        else "You may see that this run was there, and not its question and answer: that takes get agentruns.",
        steps=(status.steps or []) if may_read else [],
        conditions=list(status.conditions),
        body=shown,
        is_server=run.spec.mode == "server",
        accepted=timeline.moments[0].at.timestamp() if timeline.moments else None,
    )


async def _archived(request: Request, namespace: str, name: str, *, may_read: bool) -> RunView | None:
    context = console_context.of_request(request)
    rows = await context.indexed_runs.history(RunFilter(namespace=namespace, name=name), limit=1, offset=0)
    if not rows:
        return None
    row = rows[0]
    content = await _content(request, row.uid) if may_read and context.archiver else None
    shown = ShownContent.of(content) if content else None
    error = (content or {}).get("error")
    without = (
        "" if shown else "Question and answer are not kept any more." if may_read else "You may not see its content."
    )
    return RunView(
        namespace=row.namespace,
        name=row.name,
        uid=row.uid,
        phase=row.phase or "Pending",
        facts=_facts_of_row(row),
        instance=row.instance,
        session=row.session,
        error=RunError.model_validate(error) if error else None,
        error_word=row.error,
        content=shown,
        without=without,
        steps=[RunStep.model_validate(step) for step in (content or {}).get("steps", ())],
        deleted=row.deleted_at / _MICRO if row.deleted_at else None,
        accepted=row.created_at / _MICRO,
    )


async def _content(request: Request, uid: str) -> dict[str, Any] | None:
    stored = await Contents(console_context.of_request(request).database).open(uid)
    if stored is None:
        return None
    content: dict[str, Any] = json.loads(b"".join([piece async for piece in stored.pieces]))
    return content


def _facts_of_row(row: RunRow) -> list[tuple[str, str | int | None]]:
    return [
        ("Model", row.model),
        ("Source", row.source or "kubectl"),
        ("Caller", row.user),
        ("API key", row.key_id),
        ("Start", row.start),
        ("Waited (ms)", row.waiting_ms),
        ("First token after (ms)", row.first_token_ms),
        ("Duration (ms)", row.duration_ms),
        ("Input tokens", row.input_tokens),
        ("Output tokens", row.output_tokens),
        ("Tool calls", row.tool_calls),
    ]
