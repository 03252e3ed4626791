"""Room for further pods: what the operator knows of sets of nodes and of quotas that have none. Mutable, without I/O.

A set of nodes is known by the placement of the pods that may go there. Admission may change a pod's placement, e.g. bind a namespace to
some nodes, so the placement of an instance's next pod is that of the pod of its newest Job, or else of its namespace's newest one. Jobs
that were made from another pod template do not count: a repaired template has a placement that no waiting pod has.
"""

import sys

InstanceKey = tuple[str, str]
"""Namespace and name."""
RunKey = tuple[str, str, str]
"""Namespace, name and uid."""

UNLIMITED = sys.maxsize


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
        self._unplaced: dict[RunKey, str] = {}
        """Placements of the runs whose pods have no node as far as is known."""
        self._waiting: dict[RunKey, str] = {}
        """Placements of the runs whose pods the scheduler finds no node for."""
        self._beyond_quota: set[RunKey] = set()
        """Runs whose Job or pod exceeds a quota of the namespace."""
        self._freed = False

    @property
    def short(self) -> bool:
        """True while a pod waits for a node, or a run for its namespace's quota."""
        return bool(self._waiting or self._beyond_quota)

    def started(self, run: RunKey, instance: InstanceKey) -> None:
        """Record that a run's Job was made."""
        self._unplaced[run] = self._placement(instance)
        self._beyond_quota.discard(run)

    def waits(self, run: RunKey, instance: InstanceKey, placement: str, made_at: str | None = "") -> None:
        """Record that the scheduler finds no node for a run's pod.

        ``made_at`` is the creation time of the pod's Job; None: the Job was made from another template than the next one.
        """
        self._learn(instance, placement, made_at)
        self._unplaced[run] = self._waiting[run] = placement
        self._beyond_quota.discard(run)

    def placed(self, run: RunKey, instance: InstanceKey, placement: str, made_at: str | None = "") -> None:
        """Record that a run's pod has a node; ``made_at`` as in ``waits``."""
        self._learn(instance, placement, made_at)
        self.forget(run)

    def exceeds_quota(self, run: RunKey) -> None:
        """Record that a quota refuses a run's Job or pod, so that no pod of the run waits for a node."""
        if run in self._unplaced:
            self.forget(run)
        self._beyond_quota.add(run)

    def forget(self, run: RunKey) -> None:
        """Forget a run that needs no room any more."""
        if run in self._unplaced or run in self._beyond_quota:
            self._freed = True
        self._unplaced.pop(run, None)
        self._waiting.pop(run, None)
        self._beyond_quota.discard(run)

    def take_freed(self) -> bool:
        """Return whether room may have appeared since the last call."""
        freed, self._freed = self._freed, False
        return freed

    def room(self, instance: InstanceKey) -> int:
        """Return the number of further runs of an instance that may start. A namespace of which nothing is known may start one."""
        placement = self._placement(instance)
        if placement not in self._waiting.values():
            return UNLIMITED
        room = self._pending_pods - sum(other == placement for other in self._unplaced.values())
        namespace = instance[0]
        if namespace not in self._learned and not any(run[0] == namespace for run in self._unplaced):
            return max(room, 1)
        return max(room, 0)

    def is_short_for(self, instance: InstanceKey) -> bool:
        """Return whether a further pod of an instance would have to wait."""
        return self._placement(instance) in self._waiting.values() or bool(self.refused_by_quota(instance[0]))

    def waits_elsewhere(self, run: RunKey, instance: InstanceKey) -> bool:
        """Return whether a run's pod waits for other nodes than the next pod of the instance would."""
        return run in self._waiting and self._waiting[run] != self._placement(instance)

    def refused_by_quota(self, namespace: str) -> set[RunKey]:
        """Return the runs of a namespace that a quota refuses: while there are any, no other run starts there."""
        return {run for run in self._beyond_quota if run[0] == namespace}

    def _placement(self, instance: InstanceKey) -> str:
        _, placement = self._learned.get(instance) or self._learned.get(instance[0], ("", self._default))
        return placement

    def _learn(self, instance: InstanceKey, placement: str, made_at: str | None) -> None:
        if made_at is None:
            return
        for key in (instance, instance[0]):
            if made_at >= self._learned.get(key, ("", ""))[0]:
                self._learned[key] = made_at, placement
