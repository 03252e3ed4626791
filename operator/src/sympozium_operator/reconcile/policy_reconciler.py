"""Reconciler of SympoziumPolicies: their status, and the instances that a changed policy binds or has bound."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from sympozium_api import policy_binding
from sympozium_api.base import RECONCILING, Condition, Resource
from sympozium_api.client import ApiError, Client
from sympozium_api.clock import Clock
from sympozium_api.policy import NamespaceSelector
from sympozium_api.policy_binding import Candidate
from sympozium_api.policy_reader import PolicyReader
from sympozium_api.resources import INSTANCES, NAMESPACES, POLICIES, Object
from sympozium_api.timestamps import timestamp
from sympozium_operator.cluster.event_recorder import EventRecorder
from sympozium_operator.cluster.scoped_lists import ScopedLists
from sympozium_operator.policy import event_messages, policy_plan
from sympozium_operator.policy.conditions import merge_patch, merged
from sympozium_operator.reconcile.tool_reconciler import ALL
from sympozium_operator.result import DONE, Key, Result

COUNT_SECONDS = 5.0
"""Seconds between two counts of the instances that an unchanged policy binds."""
_AT_ONCE = 200
"""Most instances that are reconciled at once. Of more, one after the other."""
_CONFLICT = 409
LABELS = ""
"""Name in the key of a namespace whose labels may have changed. No policy has it."""

Address = tuple[str, str]
"""Namespace and name."""


@dataclass(frozen=True, kw_only=True)
class PolicyReconciler:
    """Reconciles SympoziumPolicies."""

    client: Client
    clock: Clock
    events: EventRecorder
    namespace: str
    """Namespace of the operator, whose policies may bind the instances of others."""
    lists: ScopedLists
    """Lists of all namespaces, whichever process works on them: a status counts all instances."""
    reader: PolicyReader
    are_divided: bool = False
    """True if several processes may count the instances of one policy: each counts again if another has written meanwhile."""
    _seen: dict[Address, tuple[str, int] | None] = field(default_factory=dict)
    """UID and generation of each policy at the last reconcile."""
    _untold: set[Address] = field(default_factory=set)
    """Policies that have changed without a reconcile since that reached its end: their instances were not enqueued."""
    _counted_at: dict[Address, float] = field(default_factory=dict)
    _bound: dict[Address, frozenset[Address]] = field(default_factory=dict)
    """Policies that bind each instance, at its last reconcile."""

    async def reconcile(self, key: Key) -> Result:
        """Reconcile a policy."""
        self.reader.forget()
        if key.name == LABELS:
            return await self._relabelled(key.namespace)
        address = (key.namespace, key.name)
        raw = await self.client.find(POLICIES, *address)
        if self._is_changed(address, raw):
            self._untold.add(address)
        is_changed, now = address in self._untold, self.clock.monotonic()
        if not is_changed and (early := self._counted_at.get(address, float("-inf")) + COUNT_SECONDS - now) > 0:
            return Result(requeue_after=early)
        self._counted_at[address] = now
        instances = await self._binds(key, policy_binding.candidate(raw) if raw else None)
        if raw is None:
            self._counted_at.pop(address, None)
        is_outdated = raw is not None and not await self._report(raw, len(instances))
        result = _result({*instances, *self._formerly(address)}, key.namespace) if is_changed else DONE
        self._untold.discard(address)
        return replace(result, requeue_after=COUNT_SECONDS) if is_outdated else result

    def bound(self, instance: Key, policies: Iterable[Candidate]) -> tuple[Key, ...]:
        """Record the policies that bind an instance; return those that bind it newly, or no longer."""
        address = (instance.namespace, instance.name)
        before = self._bound.pop(address, frozenset())
        now = frozenset((each.namespace, each.name) for each in policies)
        if now:
            self._bound[address] = now
        return tuple(Key("policy", *policy) for policy in sorted(before ^ now))

    def _is_changed(self, address: Address, raw: Object | None) -> bool:
        """Return whether instances must learn of the policy. The first sight of one whose status is current is none: a new leader
        reconciles every instance anyway. With several processes another one may have written the status since.
        """
        generation = raw["metadata"].get("generation", 0) if raw else 0
        state = (str(raw["metadata"]["uid"]), int(generation)) if raw else None
        is_first, before = address not in self._seen, self._seen.get(address)
        self._seen[address] = state
        if raw is None:
            self._seen.pop(address)
        if is_first and raw is not None and not (self.are_divided and address[0] == self.namespace):
            return bool((raw.get("status") or {}).get("observedGeneration") != generation)
        return is_first or before != state

    def _formerly(self, policy: Address) -> list[Address]:
        return [instance for instance, policies in self._bound.items() if policy in policies]

    async def _binds(self, key: Key, policy: Candidate | None) -> list[Address]:
        """Return the instances that a policy binds; of one that is gone, those that name it."""
        spec = policy.spec if policy else None
        is_everywhere = key.namespace == self.namespace and policy is not None
        if is_everywhere and (spec is None or spec.namespace_selector is not None):
            found = _addresses(await self.lists.metadata(INSTANCES))
            labels = await self._labels()
            selected = {
                namespace
                for namespace in {namespace for namespace, _ in found}
                if spec is None
                or (spec.namespace_selector is not None and _selects(spec.namespace_selector, namespace, labels))
            }
            here = [] if key.namespace in selected else await self._binds_here(key, policy)
            return [*(each for each in found if each[0] in selected), *here]
        return await self._binds_here(key, policy)

    async def _binds_here(self, key: Key, policy: Candidate | None) -> list[Address]:
        binds_all = policy is not None and (policy.spec is None or policy.spec.applies_to == "all")
        selectors = {} if binds_all else {"fieldSelector": f"spec.policyRef={key.name}"}
        return _addresses(await self.client.metadata(INSTANCES, key.namespace, **selectors))

    async def _labels(self) -> Mapping[str, Mapping[str, str]] | None:
        """Return the labels of all namespaces; None: they may not be read."""
        try:
            found = await self.client.metadata(NAMESPACES, None)
        except ApiError as error:
            if error.forbidden:
                return None
            raise
        return {item["metadata"]["name"]: item["metadata"].get("labels") or {} for item in found}

    async def _relabelled(self, namespace: str) -> Result:
        """Return the instances of a namespace, if a policy selects namespaces by labels."""
        installation = await self.reader.in_namespace(self.namespace)
        if not any(each.spec and each.spec.namespace_selector is not None for each in installation):
            return DONE
        return _result(_addresses(await self.client.metadata(INSTANCES, namespace)), namespace)

    async def _report(self, raw: Object, instances: int) -> bool:
        """Write the status of a policy; return False if the policy has changed since it was read."""
        found = policy_binding.candidate(raw)
        before = raw.get("status") or {}
        generation = raw["metadata"].get("generation", 0)
        update = policy_plan.accepted(found, is_operators=found.namespace == self.namespace)
        conditions = [Condition.model_validate(each) for each in before.get("conditions") or []]
        now = timestamp(self.clock.now())
        after: Object = {
            "boundInstances": instances,
            "observedGeneration": generation,
            "conditions": merged(conditions, [update], generation=generation, now=now, without=(RECONCILING,)),
        }
        if not (patch := merge_patch(before, after)):
            return True
        body: Object = {"status": patch}
        if self.are_divided:
            body["metadata"] = {"resourceVersion": raw["metadata"]["resourceVersion"]}
        try:
            await self.client.patch(POLICIES, found.namespace, found.name, body, subresource="status")
        except ApiError as error:
            if self.are_divided and error.status == _CONFLICT:
                return False
            if not error.not_found:
                raise
            return True
        for message in event_messages.of_policy(conditions, after):
            head = Resource.model_validate({part: raw[part] for part in ("apiVersion", "kind", "metadata")})
            await self.events.emit(head, message)
        return True


def _addresses(items: Iterable[Object]) -> list[Address]:
    return [(item["metadata"]["namespace"], item["metadata"]["name"]) for item in items]


def _selects(selector: NamespaceSelector, namespace: str, labels: Mapping[str, Mapping[str, str]] | None) -> bool:
    return policy_binding.selects(selector, namespace, None if labels is None else labels.get(namespace, {}))


def _result(instances: Iterable[Address], namespace: str) -> Result:
    """Return the reconciles of instances, and of the Tools and ToolBindings of their namespaces, whose conditions may change."""
    found = sorted(set(instances))
    spaces = sorted({namespace, *(each for each, _ in found)})
    keys = (*(Key("instance", *each) for each in found), *(Key("tools", each, ALL) for each in spaces))
    return Result(enqueue=keys) if len(keys) <= _AT_ONCE else Result(enqueue=keys[:_AT_ONCE], spread=keys[_AT_ONCE:])
