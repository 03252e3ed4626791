"""Client disconnects."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from starlette.types import Message

from sympozium_http import disconnect


def client(*messages: str, leaves: bool = False) -> Callable[[], Awaitable[Message]]:
    """A client that has sent these and is silent then, or leaves."""
    waiting = list(messages)

    async def receive() -> Message:
        if waiting:
            return {"type": waiting.pop(0)}
        if leaves:
            return {"type": "http.disconnect"}
        silence: asyncio.Future[Message] = asyncio.get_running_loop().create_future()
        return await silence

    return receive


class TestCancels:
    async def test_a_client_that_leaves_cancels_the_body_and_nothing_else(self) -> None:
        steps = []
        async with disconnect.cancels(client("http.request", leaves=True)):
            try:
                await asyncio.Event().wait()
            finally:
                steps.append("cancelled")
        await asyncio.sleep(0)
        assert steps == ["cancelled"]

    async def test_a_body_that_ends_first_is_left_alone(self) -> None:
        async with disconnect.cancels(client("http.request")):
            await asyncio.sleep(0)
        assert asyncio.current_task() is not None
        assert len(asyncio.all_tasks()) <= 2  # the one that waited for the client is being cancelled
        await asyncio.sleep(0)
        assert asyncio.all_tasks() == {asyncio.current_task()}

    async def test_a_timeout_of_the_body_is_its_own(self) -> None:
        with pytest.raises(TimeoutError):
            async with disconnect.cancels(client()), asyncio.timeout(0):
                await asyncio.Event().wait()

    async def test_an_error_of_the_body_reaches_its_caller(self) -> None:
        with pytest.raises(ValueError, match="wrong"):
            async with disconnect.cancels(client(leaves=True)):
                raise ValueError("wrong")

    async def test_a_cancelled_server_is_not_taken_for_a_client_that_leaves(self) -> None:
        async def answer() -> None:
            async with disconnect.cancels(client()):
                await asyncio.Event().wait()

        task = asyncio.create_task(answer())
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


class TestCalls:
    async def test_the_callback_is_called_when_the_client_leaves(self) -> None:
        left = asyncio.Event()
        with disconnect.calls(client("http.request", leaves=True), left.set):
            await asyncio.wait_for(left.wait(), 60)

    async def test_the_callback_is_not_called_after_the_body(self) -> None:
        left = asyncio.Event()
        with disconnect.calls(client(leaves=True), left.set):
            pass
        await asyncio.sleep(0.01)
        assert not left.is_set()


class TestCallerSend:
    async def test_a_message_that_cannot_be_sent_is_an_error(self) -> None:
        async def refuse(_: Message) -> None:
            raise ValueError("no such header")

        with pytest.raises(ValueError, match="no such header"):
            await disconnect.CallerSend(refuse)({"type": "http.response.start"})

    async def test_a_connection_that_is_gone_is_no_error(self) -> None:
        sent = 0

        async def gone(_: Message) -> None:
            nonlocal sent
            sent += 1
            raise ConnectionResetError

        send = disconnect.CallerSend(gone)
        for _ in range(2):
            await send({"type": "http.response.body"})
        assert sent == 1
