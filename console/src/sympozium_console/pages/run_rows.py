"""Runs as rows of tables. Pure."""

from dataclasses import dataclass

from sympozium_api import names
from sympozium_api.resources import Object, created_at
from sympozium_archive.run_rows import RunRow
from sympozium_archive.times import microseconds

_MICRO = 1_000_000


@dataclass(frozen=True)
class RunLine:
    """Row of a run in a list. None: not known."""

    namespace: str
    name: str
    instance: str | None
    phase: str
    error: str | None
    source: str
    """The door by which it came; ``kubectl``: none of ours."""
    start: str | None
    accepted: float
    """Seconds since 1970."""
    waited_ms: int | None
    first_token_ms: int | None
    duration_ms: int | None
    input_tokens: int | None
    output_tokens: int | None
    is_server: bool = False
    """True for the server behind a web endpoint, which is neither cancelled nor repeated."""

    @property
    def key(self) -> str:
        """Namespace and name, as one text."""
        return f"{self.namespace}/{self.name}"

    @property
    def path(self) -> str:
        """Address of the run's page."""
        return f"/runs/{self.namespace}/{self.name}"

    @property
    def instance_path(self) -> str:
        """Address of the page of the run's instance."""
        return f"/instances/{self.namespace}/{self.instance}"

    @classmethod
    def of_row(cls, row: RunRow) -> "RunLine":
        """Return the line of a row of the index."""
        return cls(
            namespace=row.namespace,
            name=row.name,
            instance=row.instance,
            phase=row.phase or "Pending",
            error=row.error,
            source=row.source or "kubectl",
            start=row.start,
            accepted=row.created_at / _MICRO,
            waited_ms=row.waiting_ms,
            first_token_ms=row.first_token_ms,
            duration_ms=row.duration_ms,
            input_tokens=row.input_tokens,
            output_tokens=row.output_tokens,
        )

    @classmethod
    def of_object(cls, body: Object) -> "RunLine":
        """Return the line of the server behind a web endpoint."""
        metadata, status = body["metadata"], body.get("status") or {}
        return cls(
            namespace=metadata["namespace"],
            name=metadata["name"],
            instance=body["spec"].get("agentRef"),
            phase=status.get("phase") or "Pending",
            error=None,
            source=(metadata.get("labels") or {}).get(names.LABEL_SOURCE) or "operator",
            start=None,
            accepted=microseconds(created_at(body)) / _MICRO,
            waited_ms=None,
            first_token_ms=None,
            duration_ms=None,
            input_tokens=None,
            output_tokens=None,
            is_server=True,
        )
