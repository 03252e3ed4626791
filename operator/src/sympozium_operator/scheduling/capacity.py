"""Room for further pods: what the operator knows of sets of nodes and of quotas that have none. Mutable, without I/O.

A set of nodes is known by the placement of the pods that may go there. Admission may change a pod's placement, e.g. bind a namespace to
some nodes, so the placement of an instance's next pod is that of the pod of its newest Job, or else of its namespace's newest one. Jobs
that were made from another pod template do not count: a repaired template has a placement that no waiting pod has.
"""

import sys
from collections import Counter, defaultdict

InstanceKey = tuple[str, str]
"""Namespace and name."""
RunKey = tuple[str, str, str]
"""Namespace, name and uid."""

UNLIMITED = sys.maxsize
LOOKS = 2
"""Looks at a pod after which it is not waited for any more to show where its namespace's pods go."""


class _Placements:
    """Placements of runs, with the number of runs per placement and per namespace."""

    def __init__(self) -> None:
        self._by_run: dict[RunKey, str] = {}
        self._counts: Counter[str] = Counter()
        self._namespaces: Counter[str] = Counter()

    def __contains__(self, run: RunKey) -> bool:
        return run in self._by_run

    def __len__(self) -> int:
        return len(self._by_run)

    def set(self, run: RunKey, placement: str) -> None:
        """Set a run's placement."""
        self.discard(run)
        self._by_run[run] = placement
        self._counts[placement] += 1
        self._namespaces[run[0]] += 1

    def discard(self, run: RunKey) -> bool:
        """Remove a run; return whether it had a placement."""
        placement = self._by_run.pop(run, None)
        if placement is None:
            return False
        for counts, key in ((self._counts, placement), (self._namespaces, run[0])):
            counts[key] -= 1
            if not counts[key]:
                del counts[key]
        return True

    def of(self, run: RunKey) -> str | None:
        """Return a run's placement."""
        return self._by_run.get(run)

    def count(self, placement: str) -> int:
        """Return the number of runs of a placement."""
        return self._counts[placement]

    def count_in(self, namespace: str) -> int:
        """Return the number of runs of a namespace that have a placement."""
        return self._namespaces[namespace]


class Capacity:
    """Runs whose pods wait for a node or for their namespace's quota.

    ``pending_pods``: number of pods per placement that may wait for a node. Their number shows an autoscaler what is missing; more
    would only wait together, and the scheduler would place them in no order. ``placement``: that of a pod before admission.
    """

    def __init__(self, pending_pods: int = 1, placement: str = "") -> None:
        self._pending_pods = pending_pods
        self._default = placement
        self._learned: dict[InstanceKey | str, tuple[str, str]] = {}
        """Creation time and pod's placement of the newest inspected Job, by instance and by namespace."""
        self._instances: Counter[str] = Counter()
        """Number of instances in ``_learned`` by namespace."""
        self._unplaced = _Placements()
        """Placements of the runs whose pods have no node as far as is known."""
        self._waiting = _Placements()
        """Placements of the runs whose pods the scheduler finds no node for."""
        self._tries: dict[RunKey, int] = {}
        """Number of looks at the pods of runs that shall show where their namespaces' pods go, and have not yet."""
        self._beyond_quota: dict[str, set[RunKey]] = defaultdict(set)
        """Runs of each namespace whose Job or pod exceeds a quota; no set is empty."""
        self._freed = False

    @property
    def short(self) -> bool:
        """True while a pod waits for a node, or a run for its namespace's quota."""
        return bool(self._waiting or self._beyond_quota)

    def started(self, run: RunKey, instance: InstanceKey) -> None:
        """Record that a run's Job was made."""
        self._unplaced.set(run, self._placement(instance))
        if run[0] not in self._learned:
            self._tries[run] = 0
        self._discard_quota(run)

    def inspects(self, run: RunKey) -> None:
        """Record that a look at a run's pod begins. After ``LOOKS`` of them that showed nothing, another namespace may try a pod."""
        if run in self._tries:
            self._tries[run] += 1
            if self._tries[run] > LOOKS:
                self._end_try(run)

    def gated(self, run: RunKey) -> None:
        """Record that a run's pod is held back from the scheduler, so that it is not one of the pods without a node."""
        if self._unplaced.discard(run):
            self._freed = True
        self._waiting.discard(run)
        self._end_try(run)

    def waits(self, run: RunKey, instance: InstanceKey, placement: str, made_at: str | None = "") -> None:
        """Record that the scheduler finds no node for a run's pod.

        ``made_at`` is the creation time of the pod's Job; None: the Job was made from another template than the next one.
        """
        self._learn(instance, placement, made_at)
        for placements in (self._unplaced, self._waiting):
            placements.set(run, placement)
        self._end_try(run)
        self._discard_quota(run)

    def placed(self, run: RunKey, instance: InstanceKey, placement: str, made_at: str | None = "") -> None:
        """Record that a run's pod has a node; ``made_at`` as in ``waits``."""
        self._learn(instance, placement, made_at)
        self.forget(run)

    def exceeds_quota(self, run: RunKey) -> None:
        """Record that a quota refuses a run's Job or pod, so that no pod of the run waits for a node."""
        if run in self._unplaced:
            self.forget(run)
        self._beyond_quota[run[0]].add(run)

    def forget(self, run: RunKey) -> None:
        """Forget a run that needs no room any more."""
        if self._unplaced.discard(run) or run in self.refused_by_quota(run[0]):
            self._freed = True
        self._waiting.discard(run)
        self._tries.pop(run, None)
        self._discard_quota(run)

    def forget_instance(self, instance: InstanceKey) -> None:
        """Forget the placement of an instance that does not exist any more, and with the last one its namespace's."""
        if self._learned.pop(instance, None) is not None:
            self._instances[instance[0]] -= 1
            if not self._instances[instance[0]]:
                del self._instances[instance[0]], self._learned[instance[0]]

    def take_freed(self) -> bool:
        """Return whether room may have appeared since the last call."""
        freed, self._freed = self._freed, False
        return freed

    def room(self, instance: InstanceKey) -> int:
        """Return the number of further runs of an instance that may start.

        While pods wait, a namespace of which nothing is known starts ``pending_pods`` at most before the first of them shows where
        its pods go. If pods wait where they would go without admission, it starts one, while fewer than ``pending_pods`` such
        namespaces are trying it. A try ends after ``LOOKS`` looks at its pod, whatever the pod shows.
        """
        placement, unplaced = self._placement(instance), self._unplaced.count_in(instance[0])
        is_unknown = instance[0] not in self._learned
        if not self._waiting.count(placement):
            is_tried = not (is_unknown and self._waiting) or self._waiting.count_in(instance[0]) > 0
            return UNLIMITED if is_tried else max(self._pending_pods - unplaced, 0)
        room = self._pending_pods - self._unplaced.count(placement)
        return max(room, 1 if is_unknown and not unplaced and len(self._tries) < self._pending_pods else 0)

    def is_short_for(self, instance: InstanceKey) -> bool:
        """Return whether a further pod of an instance would have to wait."""
        return self._waiting.count(self._placement(instance)) > 0 or bool(self.refused_by_quota(instance[0]))

    def waits_elsewhere(self, run: RunKey, instance: InstanceKey) -> bool:
        """Return whether a run's pod waits for other nodes than the next pod of the instance would."""
        return run in self._waiting and self._waiting.of(run) != self._placement(instance)

    def refused_by_quota(self, namespace: str) -> set[RunKey]:
        """Return the runs of a namespace that a quota refuses: while there are any, no other run starts there."""
        return self._beyond_quota.get(namespace, set())

    def _end_try(self, run: RunKey) -> None:
        if self._tries.pop(run, None) is not None:
            self._freed = True

    def _placement(self, instance: InstanceKey) -> str:
        _, placement = self._learned.get(instance) or self._learned.get(instance[0], ("", self._default))
        return placement

    def _learn(self, instance: InstanceKey, placement: str, made_at: str | None) -> None:
        if made_at is None:
            return
        if instance not in self._learned:
            self._instances[instance[0]] += 1
        for key in (instance, instance[0]):
            if made_at >= self._learned.get(key, ("", ""))[0]:
                self._learned[key] = made_at, placement

    def _discard_quota(self, run: RunKey) -> None:
        runs = self._beyond_quota.get(run[0])
        if runs is not None:
            runs.discard(run)
            if not runs:
                del self._beyond_quota[run[0]]
