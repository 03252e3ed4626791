"""Runs of the key that authenticated a request. Other keys' runs look as if they did not exist."""

import asyncio
import contextlib
import re
from collections.abc import Awaitable, Callable
from functools import partial
from typing import TypeVar

from fastapi import Request

from sympozium_api import names
from sympozium_api.base import Metadata
from sympozium_api.client import ApiError
from sympozium_api.run import AgentRun
from sympozium_http import request_state
from sympozium_runs.run_store import Hold
from sympozium_runs.runs import RunHandle
from sympozium_webproxy import context
from sympozium_webproxy.request import held
from sympozium_webproxy.request.start import api_away

_CANCEL_SECONDS = 20.0
"""Seconds that a cancel waits for its run to end, which takes well below a second if the operator is not busy."""
_PAGE = 20
"""Runs on a page."""


Found = TypeVar("Found")


class NoSuchPage(Exception):
    """A cursor that is not of this API, or expired."""


async def run(request: Request, name: str) -> AgentRun | None:
    """Return the current state of a run; None if this key has no run of that name. Raises Refusal 503."""
    run = await _read(context.of(request).runs.get, request, name)
    return run if run and _is_own(request, run) else None


async def follow(request: Request, name: str) -> RunHandle | None:
    """Return a handle that follows a run; None if this key has no run of that name. Raises Refusal 503."""
    handle = await _read(context.of(request).runs.follow, request, name)
    if handle is None or _is_own(request, handle.run):
        return handle
    handle.close()
    return None


async def wait(handle: RunHandle, timeout_seconds: float) -> None:
    """Wait for a run's end, at most ``timeout_seconds``."""
    if not handle.run.ended and timeout_seconds:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_seconds):
                await handle.end()


async def end(request: Request, handle: RunHandle) -> None:
    """Cancel a run unless it has ended, and wait a while for its end. Raises Refusal 503."""
    await cancel(request, handle.run)
    await wait(handle, _CANCEL_SECONDS)


async def cancel(request: Request, run: AgentRun) -> None:
    """Cancel a run; an ended run stays as it is. Raises Refusal 503."""
    if not run.ended:
        with api_away():
            await context.of(request).runs.cancel(run)


async def ended(request: Request, *, after: str) -> tuple[list[Metadata], str]:
    """Return a page of ended runs without their contents, and the cursor of the next page. Raises NoSuchPage and Refusal 503."""
    parts = context.of(request)
    try:
        with api_away():
            runs, more = await parts.runs.ended_of(
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
    return [item for item in runs if _is_of_caller(request, item)], more


async def _read(read: Callable[[str, str, Hold], Awaitable[Found]], request: Request, name: str) -> Found | None:
    if not re.fullmatch(names.DNS_LABEL, name):
        return None
    try:
        with api_away():
            return await read(context.of(request).settings.namespace, name, partial(held.hold_texts, request))
    except ApiError as error:
        if error.not_found:
            return None
        raise


def _is_own(request: Request, run: AgentRun) -> bool:
    return run.spec.agent_ref == context.of(request).settings.instance and _is_of_caller(request, run.metadata)


def _is_of_caller(request: Request, run: Metadata) -> bool:
    is_discarded = names.ANNOTATION_DISCARDED in run.annotations
    return not is_discarded and run.annotations.get(names.ANNOTATION_KEY_ID) == request_state.of(request).caller
