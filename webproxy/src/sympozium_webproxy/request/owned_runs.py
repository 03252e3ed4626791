"""The runs of the key that a request was authenticated with: no other key's are ever told, not even that they exist."""

import asyncio
import contextlib
import re
from collections.abc import Awaitable, Callable
from typing import TypeVar

from fastapi import Request

from sympozium_api import names
from sympozium_api.client import ApiError
from sympozium_api.run import AgentRun
from sympozium_http import request_state
from sympozium_runs.runs import Handle
from sympozium_webproxy import context
from sympozium_webproxy.request.start import api_away

_CANCEL_SECONDS = 20.0
"""How long a cancel waits for its run to have ended, which takes well below a second where the operator is not busy."""
_PAGE = 20
"""Runs on a page: each may hold a megabyte."""


Found = TypeVar("Found")


class NoSuchPage(Exception):
    """A cursor that is none of ours, or too old."""


async def run(request: Request, name: str) -> AgentRun | None:
    """A run as it is now; None where this key has none of that name. Raises Refusal 503."""
    found = await _read(context.of(request).runs.get, request, name)
    return found if found and _is_own(request, found) else None


async def follow(request: Request, name: str) -> Handle | None:
    """A run, followed; None where this key has none of that name. Raises Refusal 503."""
    handle = await _read(context.of(request).runs.follow, request, name)
    if handle is None or _is_own(request, handle.run):
        return handle
    handle.close()
    return None


async def wait(handle: Handle, patience: float) -> None:
    """Wait for a run's end, so many seconds at most."""
    if not handle.run.ended and patience:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(patience):
                await handle.end()


async def end(request: Request, handle: Handle) -> None:
    """Ask for a run's end, unless it has ended, and wait a while until it has. Raises Refusal 503."""
    await cancel(request, handle.run)
    await wait(handle, _CANCEL_SECONDS)


async def cancel(request: Request, found: AgentRun) -> None:
    """Ask for a run's end; one that has ended stays as it is. Raises Refusal 503."""
    if not found.ended:
        with api_away():
            await context.of(request).runs.cancel(found)


async def ended(request: Request, *, after: str) -> tuple[list[AgentRun], str]:
    """Runs that have ended, from where the page before ended, and where this one does. Raises NoSuchPage, Refusal 503."""
    parts = context.of(request)
    try:
        with api_away():
            found, more = await parts.runs.ended_of(
                parts.settings.namespace,
                parts.settings.instance,
                request_state.of(request).caller,
                limit=_PAGE,
                after=after,
            )
    except ApiError as error:
        if after and error.status in (400, 410):
            raise NoSuchPage from error
        raise
    return [item for item in found if _is_own(request, item)], more


async def _read(read: Callable[[str, str], Awaitable[Found]], request: Request, name: str) -> Found | None:
    if not re.fullmatch(names.DNS_LABEL, name):
        return None
    try:
        with api_away():
            return await read(context.of(request).settings.namespace, name)
    except ApiError as error:
        if error.not_found:
            return None
        raise


def _is_own(request: Request, found: AgentRun) -> bool:
    about = found.metadata.annotations
    return (
        found.spec.agent_ref == context.of(request).settings.instance
        and about.get(names.ANNOTATION_KEY_ID) == request_state.of(request).caller
        and names.ANNOTATION_DISCARDED not in about
    )
