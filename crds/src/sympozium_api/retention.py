"""Retention of ended runs: which may be deleted, judged by their metadata and, where that is not enough, by the time of their end. Pure.

The operator deletes by this rule, or the archive's console where there is one. Runs are rows: ``metadata``, and ``columns`` by title.
"""

import heapq
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from sympozium_api.json_text import MAX_PLAIN_BYTES
from sympozium_api.names import (
    ANNOTATION_DISCARDED,
    ANNOTATION_FIRST_ATTEMPT,
    ANNOTATION_KEY_EXPIRES,
    ANNOTATION_NEWEST_ATTEMPT,
    LABEL_INSTANCE,
    LABEL_KEY,
)
from sympozium_api.resources import Object, created_at
from sympozium_api.run import ANSWER_BYTES, ENDED_AT, QUESTION_BYTES
from sympozium_api.run_status import MAX_RESULT_BYTES
from sympozium_api.timestamps import parse_timestamp

_MOST_WITHIN = MAX_PLAIN_BYTES + MAX_RESULT_BYTES
"""Most bytes that the texts within a run take. A packed text has more, before it is packed."""
_CLOCK_SKEW = timedelta(minutes=5)
"""Time by which the clock that wrote an end may be ahead of this process's."""
_CEILING_FACTOR = 10
"""Ended runs of an instance that the operator leaves to the archive, in multiples of ``kept``."""
_ARCHIVE_SHARE = 0.8
"""Part of the operator's bounds at which the archive's console deletes, so that the operator need not."""


@dataclass(frozen=True)
class Retention:
    """Settings of the retention. Durations are seconds."""

    longest: int
    """Time after its end after which a run is deleted, unless its Idempotency-Key still stands."""
    shortest: int
    """Time after its end for which a run is kept, however many there are."""
    key: int
    """Time after its creation for which a run with an Idempotency-Key is kept at least."""
    kept: int
    """Most ended runs of one API key of an instance beyond ``shortest``, those whose Idempotency-Key stands not counted."""
    at_most: int
    """Most ended runs of an instance, whatever the other settings say."""
    stored_bytes: int
    """Most bytes of texts and AgentRunParts of a namespace's runs, whatever the other settings say."""

    @property
    def ceiling(self) -> int:
        """Most ended runs of an instance that the operator leaves to the archive."""
        return _CEILING_FACTOR * self.kept

    @property
    def of_archive(self) -> "Retention":
        """The retention by which the archive's console deletes what it has archived: it stays below the operator's bounds."""
        at_most = min(self.at_most, int(_ARCHIVE_SHARE * self.ceiling))
        return replace(self, at_most=at_most, stored_bytes=int(_ARCHIVE_SHARE * self.stored_bytes))


def stored_bytes(parts: Iterable[Object]) -> dict[str, dict[str, int]]:
    """Return the bytes of the parts of each run, by namespace and by the run's UID. A part counts as full, as most are."""
    namespaces: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for part in parts:
        for owner in part["metadata"].get("ownerReferences") or ():
            namespaces[part["metadata"]["namespace"]][owner["uid"]] += MAX_PLAIN_BYTES
    return namespaces


def with_texts(of_run: Mapping[str, int], runs: Iterable[Object]) -> dict[str, int]:
    """Return the bytes of each run's parts, or of the texts within it if those are more. ``runs`` are rows, with ``columns``."""
    sizes = dict(of_run)
    for run in runs:
        columns, uid = run.get("columns") or {}, run["metadata"]["uid"]
        texts = sum(columns.get(title) or 0 for title in (QUESTION_BYTES, ANSWER_BYTES))
        if texts:
            sizes[uid] = max(sizes.get(uid, 0), min(texts, _MOST_WITHIN))
    return sizes


def ended_at(run: Object) -> datetime:
    """Return the time of a run's end, given as a row; without a valid one, the time of its creation."""
    return end_or_creation(run, (run.get("columns") or {}).get(ENDED_AT))


def end_or_creation(run: Object, end: Any) -> datetime:
    """Return the time of a run's end, given as text; without a valid one, the time of its creation."""
    try:
        return parse_timestamp(end).astimezone(UTC)
    except (TypeError, ValueError, OverflowError, AttributeError):
        return created_at(run)


def beyond_bytes(
    of_run: Mapping[str, int], ended: Iterable[Object], open_runs: Iterable[Object], most: int
) -> list[Object]:
    """Return the ended runs of a namespace, rows, that must go so that the others take at most ``most`` bytes: oldest end first.

    Parts whose run is gone are not counted, because Kubernetes is about to delete them. Open runs stay.
    """
    held = [run for run in ended if run["metadata"]["uid"] in of_run]
    total = bytes_of(of_run, (*held, *open_runs))
    gone = list[Object]()
    for run in sorted(held, key=ended_at):
        if total <= most:
            break
        gone.append(run)
        total -= of_run[run["metadata"]["uid"]]
    return gone


def bytes_of(of_run: Mapping[str, int], runs: Iterable[Object]) -> int:
    """Return the bytes of these runs."""
    return sum(of_run.get(run["metadata"]["uid"], 0) for run in runs)


def groups(ended: Iterable[Object]) -> dict[tuple[str, str], dict[str, list[Object]]]:
    """Return the runs of each instance (namespace and name), and of these those of each API key."""
    instances: dict[tuple[str, str], dict[str, list[Object]]] = defaultdict(lambda: defaultdict(list))
    for run in ended:
        metadata = run["metadata"]
        labels = metadata.get("labels") or {}
        instances[metadata["namespace"], labels.get(LABEL_INSTANCE, "")][labels.get(LABEL_KEY, "")].append(run)
    return instances


class Candidates:
    """Runs of one API key that may be deleted, oldest end first.

    Metadata has no time of the end. A run ends after its creation, so the creation bounds the end from below, and the end itself
    is asked for only if the run might be next: ``next`` returns a run of unknown end, and ``ended_at`` puts it back with its end.
    A run that is not put back stays, and those that ended after it are judged as if it were gone.
    """

    def __init__(self, runs: list[Object], retention: Retention, now: datetime) -> None:
        self._retention = retention
        self._now = now
        self._heap = [
            (created_at(run), number, False, run) for number, run in enumerate(runs) if not self._key_stands(run)
        ]
        heapq.heapify(self._heap)
        self._surplus = len(self._heap) - retention.kept
        self._numbers = len(runs)

    def next(self) -> tuple[Object, bool] | None:
        """Return the next run, and whether it is to be deleted; if not, its end is asked for. None: the others stay."""
        if not self._heap:
            return None
        end, _, is_end, run = self._heap[0]
        age = self._now - end
        if age < timedelta(seconds=self._retention.shortest):
            return None
        if self._surplus <= 0 and age < timedelta(seconds=self._retention.longest):
            return None
        heapq.heappop(self._heap)
        self._surplus -= 1
        return run, is_end

    def ended_at(self, run: Object, end: datetime) -> None:
        """Put a run back whose end is known now. An end before the creation, or one that is still to come, counts as the creation."""
        created = created_at(run)
        if not created <= end <= self._now + _CLOCK_SKEW:
            end = created
        self._numbers += 1
        self._surplus += 1
        heapq.heappush(self._heap, (end, self._numbers, True, run))

    def _key_stands(self, run: Object) -> bool:
        """Return whether the run's Idempotency-Key stands. A client could write any time, so the settings bound it.

        A run that others of its key followed leads to them, and is kept while the newest may be open (decision 0041).
        """
        annotations = run["metadata"].get("annotations") or {}
        text = annotations.get(ANNOTATION_KEY_EXPIRES)
        if text is None:
            return False
        try:
            expires = parse_timestamp(text)
        except ValueError:
            return False
        longer = self._retention.longest if ANNOTATION_NEWEST_ATTEMPT in annotations else 0
        limit = created_at(run) + timedelta(seconds=self._retention.key + longer)
        return self._now < (limit if expires.tzinfo is None else min(expires, limit))


def beyond_bound(by_key: dict[str, list[Object]], at_most: int) -> Iterator[Object]:
    """Yield the runs of an instance beyond the hard bound: each time the oldest one of the API key that has the most."""
    queues = {key: sorted(runs, key=created_at, reverse=True) for key, runs in by_key.items()}
    for _ in range(sum(map(len, queues.values())) - at_most):
        yield max(queues.values(), key=len).pop()


def surplus(
    ended: Iterable[Object], followed: set[tuple[str, str]], retention: Retention, now: datetime
) -> list[Object]:
    """Return the ended runs that go: discarded ones, those beyond the retention of their API key, and those beyond their instance's
    bound. ``followed``: the ``followed_attempts`` of all open runs.
    """
    may_go = [run for run in ended if not leads_to_open_run(run, followed)]
    gone = [run for run in may_go if is_discarded(run)]
    for by_key in groups(run for run in may_go if not is_discarded(run)).values():
        kept = dict[str, list[Object]]()
        for key, runs in by_key.items():
            of_key = list(_beyond_retention(runs, retention, now))
            uids = {run["metadata"]["uid"] for run in of_key}
            kept[key] = [run for run in runs if run["metadata"]["uid"] not in uids]
            gone += of_key
        gone += beyond_bound(kept, retention.at_most)
    return gone


def _beyond_retention(runs: list[Object], retention: Retention, now: datetime) -> Iterator[Object]:
    """Yield the runs of one API key that go, judged by the end in their columns."""
    candidates = Candidates(runs, retention, now)
    while found := candidates.next():
        run, is_to_go = found
        if is_to_go:
            yield run
        else:
            candidates.ended_at(run, ended_at(run))


def beyond_ceiling(ended: Sequence[Object], ceiling: int) -> list[Object]:
    """Return the runs of an instance beyond the ceiling, oldest end first.

    Discarded runs come last: the archive learns from the run alone that it must hold nothing of it.
    """
    oldest = sorted(ended, key=lambda run: (is_discarded(run), ended_at(run)))
    return oldest[: max(0, len(ended) - ceiling)]


def followed_attempts(open_runs: Iterable[Object]) -> set[tuple[str, str]]:
    """Return namespace and name of the first runs of the Idempotency-Keys to which these open runs belong."""
    attempts = ((run["metadata"]["namespace"], run["metadata"].get("annotations") or {}) for run in open_runs)
    return {(space, first) for space, annotations in attempts if (first := annotations.get(ANNOTATION_FIRST_ATTEMPT))}


def leads_to_open_run(run: Object, followed: set[tuple[str, str]]) -> bool:
    """Return whether a run is the first of an Idempotency-Key whose newest run is open: without it, a retry would make another run.

    ``followed``: the ``followed_attempts`` of all open runs.
    """
    metadata = run["metadata"]
    was_followed = ANNOTATION_NEWEST_ATTEMPT in (metadata.get("annotations") or {})
    return was_followed and (metadata["namespace"], metadata["name"]) in followed


def is_discarded(run: Object) -> bool:
    """Return whether a run's caller wants nothing of it stored."""
    return ANNOTATION_DISCARDED in (run["metadata"].get("annotations") or {})
