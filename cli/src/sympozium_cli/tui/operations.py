"""Changes of objects that the UI makes, with the user's rights."""

from sympozium_api import names
from sympozium_api.client import ApiError, Client
from sympozium_api.resources import EVENTS, RUNS, SKILL_PACKS, Object, ResourceType
from sympozium_cli.failures import Failure
from sympozium_cli.tui.views.events import EventItem, event_item
from sympozium_cli.tui.views.packs import PackItem, pack_item
from sympozium_cli.tui.views.reading import Key, count_at, text_at
from sympozium_cli.tui.views.skills import offered

_TEXTS = {"request": ("spec", "requestText"), "answer": ("status", "answer")}
"""Names of a run's long texts in AgentRunParts, and their fields."""
OPERATOR_NAMESPACE = "sympozium-system"
"""Namespace of the installation's own SkillPacks, where the user cannot see which one it is."""


async def save(client: Client, kind: ResourceType, read: Object, edited: Object) -> Object:
    """Replace an object by an edited one. A version that only the operator's reports have changed since counts as the one that was read.

    Raises ApiError 409 if somebody else has changed the object.
    """
    try:
        return await client.replace(kind, edited["metadata"]["namespace"], edited, strict=True)
    except ApiError as error:
        if error.status != 409:
            raise
        newest = await client.get(kind, edited["metadata"]["namespace"], edited["metadata"]["name"])
        if _asked(newest) != _asked(read):
            raise
        version = {"resourceVersion": newest["metadata"]["resourceVersion"]}
        again = {**edited, "metadata": edited["metadata"] | version}
        return await client.replace(kind, edited["metadata"]["namespace"], again, strict=True)


def _asked(body: Object) -> tuple[object, ...]:
    metadata = body["metadata"]
    return metadata.get("generation"), metadata.get("labels"), metadata.get("annotations"), metadata.get("uid")


async def cancel(client: Client, key: Key) -> None:
    """Cancel a run. Raises ApiError and ApiUnavailable."""
    await client.patch(RUNS, *key, {"spec": {"cancel": True}}, metadata_only=True)


async def uid_of(client: Client, kind: ResourceType, key: Key) -> str:
    """Return the UID of an object that is to be deleted once it is confirmed: not another one that has its name by then.

    Raises Failure if it is gone, ApiError and ApiUnavailable.
    """
    found = await client.find_metadata(kind, *key)
    if found is None:
        raise Failure(f"{key[1]} is gone already")
    return str(found["metadata"]["uid"])


async def packs_for(client: Client, namespace: str) -> list[PackItem]:
    """Return the SkillPacks that instances of a namespace may name, as far as the user may see them."""
    try:
        packs = [pack_item(body) for body in await client.list(SKILL_PACKS, None)]
    except ApiError:
        packs = []
        for place in (namespace, OPERATOR_NAMESPACE):
            try:
                packs += [pack_item(body) for body in await client.list(SKILL_PACKS, place)]
            except ApiError:
                continue
    built_in = {pack.key[0] for pack in packs if pack.key[1] == names.WEB_ENDPOINT_SKILL and pack.key[0] != namespace}
    return offered(packs, namespace, built_in or {OPERATOR_NAMESPACE})


async def events_of(client: Client, namespace: str, about: set[str]) -> list[EventItem]:
    """Return the events of a namespace about objects of these names; none if the user may not read events."""
    try:
        items = await client.list(EVENTS, namespace)
    except ApiError:
        return []
    found = [event_item(body) for body in items]
    return [event for event in found if event.about[2] in about]


def names_of(run: Object) -> set[str]:
    """Return the names of a run, of its Job and of its pod."""
    found = {text_at(run, "metadata", "name"), text_at(run, "status", "jobName"), text_at(run, "status", "podName")}
    found.add(names.job(text_at(run, "metadata", "name"), text_at(run, "metadata", "uid")))
    return found - {""}


async def texts_of(client: Client, run: Object) -> dict[str, str]:
    """Return the texts of a run that are in AgentRunParts, by ``request`` and ``answer``. Raises ApiError for a missing part."""
    found: dict[str, str] = {}
    for name, path in _TEXTS.items():
        if number := count_at(run, *path, "parts"):
            from sympozium_api.json_text import MAX_PARTS  # models, which the first screen needs not
            from sympozium_cli.run_following import text_in_parts

            found[name] = await text_in_parts(client, run, text_at(run, *path, "sha256"), min(number, MAX_PARTS))
    return found
