"""Changes of objects, made anew where somebody else has written in between."""

from collections.abc import Callable

from sympozium_api.client import ApiError, Client
from sympozium_api.resources import Object, ResourceType

_ATTEMPTS = 5
"""Tries of a write that meets others: the operator's status reports must not fail it."""


async def change(
    client: Client, kind: ResourceType, key: tuple[str, str], changed: Callable[[Object], Object]
) -> tuple[Object, bool]:
    """Write what ``changed`` makes of the newest version of an object; return it as stored, and whether it was written at all.

    ``key`` is its namespace and name. The whole object is replaced at the version that was read, so that nothing is lost that somebody
    else writes in between; then the newest version is read again. Raises ApiError and ApiUnavailable.
    """
    for attempt in range(_ATTEMPTS):
        body = await client.get(kind, *key)
        wanted = changed(body)
        if wanted == body:
            return body, False
        try:
            return await client.replace(kind, key[0], wanted, strict=True), True
        except ApiError as error:
            if error.status != 409 or attempt == _ATTEMPTS - 1:
                raise
    raise AssertionError  # the last attempt returns or raises
