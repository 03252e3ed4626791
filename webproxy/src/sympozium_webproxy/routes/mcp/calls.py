"""Calls of tools: ``ask_agent`` creates a run and waits for its end, the others get or cancel a run."""

from typing import Any

from mcp.server.session import ServerSession
from mcp.shared.jsonrpc_dispatcher import progress_token_from_params
from mcp_types import CallToolResult

from sympozium_api.agent_records import End
from sympozium_http.refusal import Refusal
from sympozium_runs.model_choice import chosen_model
from sympozium_runs.run_request import RunRequest
from sympozium_runs.runs import RunHandle
from sympozium_webproxy.instance_cache import ServedInstance
from sympozium_webproxy.protocol.mcp import results, tasks
from sympozium_webproxy.protocol.mcp.stream_position import run_key
from sympozium_webproxy.protocol.mcp.tools import Ask, CancelRun, GetRun
from sympozium_webproxy.request import owned_runs
from sympozium_webproxy.request.deadline import wait_seconds
from sympozium_webproxy.request.start import idempotency_key, start
from sympozium_webproxy.routes.mcp.dispatch import Caller, Ctx
from sympozium_webproxy.routes.mcp.dispatch import caller as caller_of

_SOURCE = "mcp"


async def ask(ctx: Ctx, served: ServedInstance, call: Ask, *, as_task: bool) -> CallToolResult | dict[str, Any]:
    """Create a run, and return its end or its task. Raises Refusal 503, and 400 for wrong headers."""
    caller = caller_of(ctx)
    follows_text = progress_token_from_params(ctx.params) is not None
    run = RunRequest(
        {"messages": [{"role": "user", "content": call.prompt}]},
        _SOURCE,
        caller.key_id,
        _name_from(caller, ctx),
        model=chosen_model(served.instance, None),
        wait_seconds=None if as_task else wait_seconds(caller.http),
        background=as_task or caller.durable,
        leaves_for_good=caller.session is not None,
    )
    try:
        handle = await start(caller.http, served, run, streamed=follows_text)
    except Refusal as error:
        if error.status in (429, 503):
            raise
        return results.refused(str(error))
    caller.made()
    try:
        if as_task:
            return tasks.created(handle.run)
        end = await _report_progress(ctx.session, handle) if follows_text else await handle.end()
        if caller.durable and end["type"] == "error" and end["error"]["type"] == "deadline_exceeded":
            await owned_runs.cancel(caller.http, handle.run)  # because a resumable run continues without its caller
        return results.of_end(handle.name, end)
    finally:
        handle.close()


async def _report_progress(session: ServerSession, handle: RunHandle) -> End:
    """Report a run's text and tools as they come, with the progress of ``results.progress``, and return the end record."""
    sent = 0
    while True:
        record = await handle.next()
        if record is None:
            continue
        if record["type"] == "done" or record["type"] == "error":
            return record
        message, weight = results.progress(record)
        if weight:
            sent += weight
            await session.report_progress(sent, message=message)


async def get_run(caller: Caller, call: GetRun) -> CallToolResult:
    """Return the state of a run, once it has ended or the caller's waiting time is over."""
    handle = await owned_runs.follow(caller.http, call.run)
    if handle is None:
        return _no_such_run(call.run)
    try:
        await owned_runs.wait(handle, call.wait_seconds)
    finally:
        handle.close()
    return await _as_it_is(caller, call.run)


async def cancel_run(caller: Caller, call: CancelRun) -> CallToolResult:
    """Cancel a run and return its state."""
    handle = await owned_runs.follow(caller.http, call.run)
    if handle is None:
        return _no_such_run(call.run)
    try:
        await owned_runs.end(caller.http, handle)
    finally:
        handle.close()
    return await _as_it_is(caller, call.run)


async def _as_it_is(caller: Caller, name: str) -> CallToolResult:
    run = await owned_runs.run(caller.http, name)
    if run is None:
        return _no_such_run(name)
    return results.of_run(run)


def _no_such_run(name: str) -> CallToolResult:
    return results.refused(f"There is no run {name!r}.")


def _name_from(caller: Caller, ctx: Ctx) -> str | None:
    """Return the seed of the run's name, by which any replica finds the run; None for a random name."""
    if caller.session is None or ctx.request_id is None:
        return idempotency_key(caller.http)
    return run_key(caller.session.id, ctx.request_id)
