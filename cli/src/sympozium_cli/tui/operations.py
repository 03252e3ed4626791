"""Changes of objects that the UI makes, with the user's rights."""

from collections.abc import AsyncIterator, Callable

from sympozium_api import names
from sympozium_api.client import ApiError, Client
from sympozium_api.client.responses import parse_response
from sympozium_api.resources import EVENTS, PODS, RUN_PARTS, RUNS, SKILL_PACKS, Object, ResourceType
from sympozium_cli.failures import Failure
from sympozium_cli.tui.views.events import EventItem, event_item
from sympozium_cli.tui.views.packs import PackItem, pack_item
from sympozium_cli.tui.views.reading import Key, at, count_at, text_at
from sympozium_cli.tui.views.skills import offered

_ATTEMPTS = 5
_TEXTS = {"request": ("spec", "requestText"), "answer": ("status", "answer")}
"""Names of a run's long texts in AgentRunParts, and their fields."""
_SILENCE_SECONDS = 3600.0
OPERATOR_NAMESPACE = "sympozium-system"
"""Namespace of the installation's own SkillPacks, where the user cannot see which one it is."""


async def change(client: Client, kind: ResourceType, key: Key, changed: Callable[[Object], Object]) -> Object:
    """Write what ``changed`` makes of the newest version of an object, and return it as stored.

    The whole object is replaced at the version that was read, so that nothing is lost that somebody else writes in between; then the
    newest version is read again. Raises ApiError and ApiUnavailable.
    """
    for attempt in range(_ATTEMPTS):
        body = await client.get(kind, *key)
        wanted = changed(body)
        if wanted == body:
            return body
        try:
            return await client.replace(kind, key[0], wanted, strict=True)
        except ApiError as error:
            if error.status != 409 or attempt == _ATTEMPTS - 1:
                raise
    raise AssertionError  # the last attempt returns or raises


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
            instance, uid = text_at(run, "spec", "agentRef"), text_at(run, "metadata", "uid")
            digest = text_at(run, *path, "sha256")
            keys = [names.run_part(instance, uid, digest, index) for index in range(min(number, 128))]
            bodies = [await client.get(RUN_PARTS, run["metadata"]["namespace"], key) for key in keys]
            found[name] = "".join(at(body, "spec", "data") or "" for body in bodies)
    return found


async def log_lines(client: Client, namespace: str, pod: str, *, follow: bool) -> AsyncIterator[str]:
    """Yield the lines of an agent's log, until the pod ends if ``follow``. Raises ApiError."""
    params = {"container": "agent", "tailLines": "2000"} | ({"follow": "true"} if follow else {})
    path = PODS.path(namespace, pod, "log")
    async with client.stream(path, params, silence=_SILENCE_SECONDS, accept="*/*") as response:
        if response.status >= 400:
            parse_response(response.status, await response.read(), is_read=True)
        rest = b""
        async for chunk in response.content.iter_any():
            *lines, rest = (rest + chunk).split(b"\n")
            for line in lines:
                yield line.decode(errors="replace")
        if rest:
            yield rest.decode(errors="replace")
