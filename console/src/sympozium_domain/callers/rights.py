"""Rights of callers: by their scopes, or as RBAC has them."""

import asyncio
from dataclasses import dataclass

from sympozium_api.client import ApiError, Client
from sympozium_api.clock import Clock
from sympozium_api.resources import LOCAL_ACCESS_REVIEWS, Object, ResourceType
from sympozium_domain.callers import scope_rights
from sympozium_domain.callers.caller import Caller, Subject
from sympozium_domain.callers.namespaces import Namespaces

_FRESH_SECONDS = 10.0
"""Seconds for which an answer of the API server is used."""
_MOST_ANSWERS = 10_000
_MOST_REVIEWS = 20
"""Reviews at a time, of all requests."""
_REVIEWS_OF_LIST = 5
"""Reviews at a time of one list: those of a caller with thousands of namespaces before it do not keep another one waiting."""

_Question = tuple[Subject, str, ResourceType, str]


@dataclass(frozen=True)
class _Answer:
    task: asyncio.Task[bool]
    asked_at: float


class Rights:
    """Judge of what callers may do. RBAC is asked by LocalSubjectAccessReviews, and each answer is used for ten seconds."""

    def __init__(self, client: Client, clock: Clock, namespaces: Namespaces) -> None:
        self._client = client
        self._clock = clock
        self._namespaces = namespaces
        self._answers: dict[_Question, _Answer] = {}
        self._reviews = asyncio.Semaphore(_MOST_REVIEWS)

    async def may(self, caller: Caller, verb: str, kind: ResourceType, namespace: str) -> bool:
        """Return True if a caller may do this with objects of a kind in a namespace. Raises ApiError and ApiUnavailable."""
        if caller.is_admin:
            return True
        if caller.subject is None:
            return caller.namespace == namespace and scope_rights.allows(caller.scopes, verb, kind.plural)
        return await self._reviewed((caller.subject, verb, kind, namespace))

    async def namespaces(self, caller: Caller, verb: str, kind: ResourceType) -> tuple[str, ...] | None:
        """Return the namespaces in which a caller may do this, sorted; None: all. Raises ApiError and ApiUnavailable."""
        if caller.is_admin:
            return None
        candidates = (caller.namespace,) if caller.namespace else await self._namespaces.names()
        left, allowed = iter(candidates), set[str]()

        async def ask() -> None:
            for namespace in left:
                if await self.may(caller, verb, kind, namespace):
                    allowed.add(namespace)

        await asyncio.gather(*(ask() for _ in range(_REVIEWS_OF_LIST)))
        return tuple(namespace for namespace in candidates if namespace in allowed)

    async def namespaces_of_any(self, caller: Caller, verb: str, *kinds: ResourceType) -> tuple[str, ...]:
        """Return the served namespaces in which a caller may do this with one of these kinds, sorted. Raises as ``namespaces`` does."""
        if caller.is_admin:
            return await self._namespaces.names()
        allowed = await asyncio.gather(*(self.namespaces(caller, verb, kind) for kind in kinds))
        return tuple(sorted({namespace for some in allowed for namespace in some or ()}))

    async def _reviewed(self, question: _Question) -> bool:
        answer = self._answers.get(question)
        if answer is None or self._clock.monotonic() - answer.asked_at >= _FRESH_SECONDS:
            answer = self._asked(question)
        try:
            return await asyncio.shield(answer.task)  # other requests may wait for the same answer
        except BaseException:
            if answer.task.done() and self._answers.get(question) is answer:
                del self._answers[question]
            raise

    def _asked(self, question: _Question) -> _Answer:
        self._answers.pop(question, None)
        while len(self._answers) >= _MOST_ANSWERS:
            del self._answers[next(iter(self._answers))]
        answer = _Answer(asyncio.create_task(self._review(question)), self._clock.monotonic())
        self._answers[question] = answer
        return answer

    async def _review(self, question: _Question) -> bool:
        namespace = question[-1]
        async with self._reviews:
            try:
                review = await self._client.create(LOCAL_ACCESS_REVIEWS, namespace, _body(question))
            except ApiError as error:
                if error.status == 403:  # the console has no rights in this namespace, and so nothing to show of it
                    return False
                raise
        return bool(review.get("status", {}).get("allowed", False))


def _body(question: _Question) -> Object:
    subject, verb, kind, namespace = question
    resource, _, subresource = kind.plural.partition("/")
    return {
        "apiVersion": LOCAL_ACCESS_REVIEWS.api_version,
        "kind": LOCAL_ACCESS_REVIEWS.kind,
        "metadata": {"namespace": namespace},
        "spec": {
            "user": subject.user,
            "groups": list(subject.groups),
            "resourceAttributes": {
                "namespace": namespace,
                "verb": verb,
                "group": kind.group,
                "version": kind.version,
                "resource": resource,
            }
            | ({"subresource": subresource} if subresource else {}),
        },
    }
