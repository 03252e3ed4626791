"""The objects of a kind as a watch has shown them: what changed since, and for instances the answers to filtered lists."""

import json
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from sympozium_api import effective
from sympozium_api.client.collection import Collection
from sympozium_api.clock import Clock
from sympozium_api.instance import SympoziumInstance
from sympozium_api.resources import Object

_MOST_REMOVED = 1000
"""Instances that are gone, the last ones, whose times are kept."""
Key = tuple[str, str]
"""Namespace and name."""


def key_of(body: Object) -> Key:
    """Return the key of an object."""
    return body["metadata"]["namespace"], body["metadata"]["name"]


@dataclass(frozen=True)
class KnownInstance:
    """An instance, with the values that filters compare."""

    packed: bytes
    """The object as compressed JSON: five thousand of them take some megabytes."""
    phase: str | None
    words: tuple[str, ...]
    """Name and title, as they are searched."""
    has_web_endpoint: bool
    packs: frozenset[str]
    """SkillPacks that it names."""

    @classmethod
    def of(cls, body: Object) -> "KnownInstance":
        """Return what is known of an instance."""
        instance = SympoziumInstance.model_validate(body)
        return cls(
            packed=zlib.compress(json.dumps(body, separators=(",", ":")).encode(), 1),
            phase=instance.status.phase,
            words=(instance.metadata.name, (instance.spec.title or "").casefold()),
            has_web_endpoint=effective.web_endpoint_is_on(instance),
            packs=frozenset(filter(None, (skill.skill_pack_ref for skill in instance.spec.skills))),
        )

    def unpacked(self) -> Object:
        """Return the instance."""
        body: Object = json.loads(zlib.decompress(self.packed))
        return body


@dataclass(frozen=True)
class InstanceFilter:
    """Conditions of a list of instances; None: any."""

    namespaces: frozenset[str] | None = None
    phase: str | None = None
    q: str | None = None
    """Part of the name or of the title, in any case."""
    web_endpoint: bool | None = None

    def has(self, key: Key, instance: KnownInstance) -> bool:
        """Return True if an instance meets the conditions."""
        return (
            (self.namespaces is None or key[0] in self.namespaces)
            and self.phase in (None, instance.phase)
            and (self.q is None or any(self.q.casefold() in word for word in instance.words))
            and self.web_endpoint in (None, instance.has_web_endpoint)
        )


class KnownInstances:
    """The instances that the watch has shown."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._instances: dict[Key, KnownInstance] = {}
        self._removed: dict[Key, float] = {}
        self._version = "0"

    def put(self, body: Object) -> None:
        """Add an instance, or its new state."""
        self._instances[key_of(body)] = KnownInstance.of(body)
        self._removed.pop(key_of(body), None)
        self._version = max(self._version, body["metadata"]["resourceVersion"], key=lambda text: (len(text), text))

    def remove(self, key: Key) -> None:
        """Forget an instance that is gone, but for the time."""
        if self._instances.pop(key, None) is None:
            return
        self._removed[key] = self._clock.now().timestamp()
        if len(self._removed) > _MOST_REMOVED:
            del self._removed[next(iter(self._removed))]

    def removed_at(self, key: Key) -> float | None:
        """Return the seconds since 1970 at which an instance was seen to be gone; None: it is there, or nobody knows any more."""
        return self._removed.get(key)

    def page(self, wanted: InstanceFilter, *, limit: int, after: str) -> Collection:
        """Return at most ``limit`` instances, ordered by namespace and name, after the page whose ``next_page`` is ``after``."""
        last = tuple(after.partition("/")[::2]) if after else ("", "")
        keys = sorted(key for key, instance in self._instances.items() if key > last and wanted.has(key, instance))
        items = [self._instances[key].unpacked() for key in keys[:limit]]
        rest = len(keys) - len(items)
        return Collection(items, self._version, "/".join(keys[limit - 1]) if rest else "", rest or None)

    def users(self, pack: str, namespaces: Iterable[str] | None) -> Iterator[Key]:
        """Yield the instances in some namespaces, None: in all, that name a SkillPack."""
        seen = None if namespaces is None else frozenset(namespaces)
        for key, instance in sorted(self._instances.items(), key=lambda item: item[0]):
            if pack in instance.packs and (seen is None or key[0] in seen):
                yield key
