"""Poll of objects that the operator does not watch: Secrets, users' ConfigMaps, Services and HTTPRoutes of others."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import NamedTuple

from sympozium_api.client import ApiUnavailable, Client
from sympozium_api.resources import Object, ResourceType
from sympozium_operator.cluster.object_guard import CountUnreadable, guarded
from sympozium_operator.result import Key
from sympozium_operator.scheduling.pace import Pace


class _CannotBeReadError(Exception):
    """A failure to read one object, of an API server that answers: e.g. one whose content in etcd cannot be decrypted."""


class _Reference(NamedTuple):
    """An object by its name."""

    kind: ResourceType
    namespace: str
    name: str


@dataclass(frozen=True)
class VersionPoll:
    """Objects that keys depend on, with the versions that their last reconcile read. A check reads metadata, never content."""

    client: Client
    count_unreadable: CountUnreadable
    pace: Pace
    """Pace of the checks."""
    one_by_one: bool = False
    """True if one turn checks one object of each key, so that a key costs the same however many it depends on."""
    _read: dict[Key, dict[_Reference, str | None]] = field(default_factory=dict)
    """Resource versions by the key that depends on them; None: the object did not exist."""

    def remember(self, key: Key, kind: ResourceType, name: str, live: Object | None) -> None:
        """Remember what a key's reconcile has read of an object of the key's namespace."""
        self.remember_in(key, kind, key.namespace, name, live)

    def remember_in(self, key: Key, kind: ResourceType, namespace: str, name: str, live: Object | None) -> None:
        """Remember what a key's reconcile has read of an object of any namespace."""
        self._read.setdefault(key, {})[_Reference(kind, namespace, name)] = _version(live)

    def forget(self, key: Key) -> None:
        """Forget a key that is gone, or about to be reconciled."""
        self._read.pop(key, None)

    def waiting(self) -> frozenset[Key]:
        """Return the keys that depend on an object."""
        return frozenset(self._read)

    async def changed(self) -> AsyncIterator[Key]:
        """Check once, and yield the keys of which an object has changed: their next reconcile remembers the new version.

        An object on which several keys depend is read once; one that cannot be read delays no other. Raises ApiUnavailable if the
        API server does not answer; the next check begins with the keys that this one has not come to.
        """
        current = dict[_Reference, str | None]()
        for key in list(self._read):
            if (versions := self._read.pop(key, None)) is None:
                continue
            self._read[key] = versions  # last in the next check
            for reference, version in self._turn(versions):
                with guarded(self.count_unreadable, reference.kind, reference._asdict()):
                    if reference not in current:
                        current[reference] = await self._current(reference)
                    if version != current[reference]:
                        self.forget(key)
                        yield key
                        break

    async def _current(self, reference: _Reference) -> str | None:
        await self.pace.step()
        try:
            return _version(await self.client.find_metadata(*reference))
        except ApiUnavailable as error:
            if await self.client.answers():
                raise _CannotBeReadError(str(error)) from error
            raise

    def _turn(self, versions: dict[_Reference, str | None]) -> list[tuple[_Reference, str | None]]:
        """Return the objects of one key to check in this turn; those that were checked come last in the next."""
        turn = list(versions.items())[: 1 if self.one_by_one else None]
        for reference, version in turn:
            del versions[reference]
            versions[reference] = version
        return turn


def _version(live: Object | None) -> str | None:
    return live["metadata"]["resourceVersion"] if live else None
