"""Runs in Kubernetes as the retention judges them: without contents, and without the metadata that it does not ask for."""

from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import structlog

from sympozium_api import names
from sympozium_api.client import ApiError, Client
from sympozium_api.client.collection import Reading
from sympozium_api.client.pages import bounded_pages
from sympozium_api.resources import INSTANCES, RUN_PARTS, RUNS, Object
from sympozium_api.retention import stored_bytes
from sympozium_api.run import ANSWER_BYTES, ENDED_AT, QUESTION_BYTES
from sympozium_api.run_selection import ENDED, NOT_ENDED

log = structlog.get_logger()

_PAGE = 500
_METADATA = ("name", "namespace", "uid", "resourceVersion", "creationTimestamp")
_LABELS = (names.LABEL_INSTANCE, names.LABEL_KEY)
_ANNOTATIONS = (
    names.ANNOTATION_DISCARDED,
    names.ANNOTATION_FIRST_ATTEMPT,
    names.ANNOTATION_KEY_EXPIRES,
    names.ANNOTATION_NEWEST_ATTEMPT,
)
_COLUMNS = (ENDED_AT, QUESTION_BYTES, ANSWER_BYTES)


@dataclass(frozen=True)
class KeptRuns:
    """Lists of runs in the namespaces of the installation. Every method raises ApiError and ApiUnavailable."""

    client: Client
    scopes: Sequence[str | None]
    """Namespaces to list, or None for all at once."""

    async def ended(self) -> list[Object]:
        """Return the ended runs as rows."""
        return await self._all(Reading(as_table=True), ENDED)

    async def open(self) -> list[Object]:
        """Return the metadata of the runs that have not ended."""
        return await self._all(Reading(metadata_only=True), NOT_ENDED)

    async def bytes_of_parts(self) -> dict[str, dict[str, int]]:
        """Return the bytes of the parts of each run, by namespace and by the run's UID."""
        parts = list[Object]()
        for scope in self.scopes:
            with skipping(scope):
                parts += await self.client.metadata(RUN_PARTS, scope)
        return stored_bytes(parts)

    async def instances(self, labels: str) -> list[Object]:
        """Return the metadata of the instances that a label selector names."""
        found = list[Object]()
        for scope in self.scopes:
            with skipping(scope):
                found += await self.client.metadata(INSTANCES, scope, labelSelector=labels)
        return found

    async def of_instance(self, namespace: str, instance: str, phases: str = "") -> list[Object]:
        """Return the runs of an instance as rows, without its web endpoint's; ``phases``: a further field selector."""
        selector = ",".join(filter(None, [f"spec.agentRef={instance}", phases]))
        rows = [row async for row in self._of_scope(namespace, Reading(as_table=True), selector)]
        return [row for row in rows if row["metadata"]["name"] != names.web_endpoint_run(instance)]

    async def _all(self, reading: Reading, selector: str) -> list[Object]:
        rows = list[Object]()
        for scope in self.scopes:
            with skipping(scope):
                rows += [row async for row in self._of_scope(scope, reading, selector)]
        return rows

    async def _of_scope(self, scope: str | None, reading: Reading, selector: str) -> AsyncIterator[Object]:
        async for page in bounded_pages(self.client, RUNS, scope, reading, limit=_PAGE, fieldSelector=selector):
            for row in page.items:
                yield _slim(row)


@contextmanager
def skipping(scope: str | None) -> Iterator[None]:
    """Skip a named namespace that may not be read, or does not exist: it stops nothing in the others."""
    try:
        yield
    except ApiError as error:
        if scope is None or not (error.forbidden or error.not_found):
            raise
        log.warning("namespace skipped", namespace=scope, reason=error.reason)


def _slim(row: Object) -> Object:
    """Return a row with what the retention reads: of 20,000 runs all metadata would be 60 MB."""
    metadata = row["metadata"]
    parts = {"labels": _LABELS, "annotations": _ANNOTATIONS}
    chosen = {part: _chosen(metadata.get(part) or {}, keys) for part, keys in parts.items()}
    return {
        "metadata": _chosen(metadata, _METADATA) | chosen,
        "columns": _chosen(row.get("columns") or {}, _COLUMNS),
    }


def _chosen(values: Object, keys: Sequence[str]) -> Object:
    return {key: values[key] for key in keys if key in values}
