"""Processes of kubectl that end with this one, whatever ends it."""

import asyncio
import os
import re
import shutil
import signal
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import cast

from sympozium_cli.failures import ClusterAway

_GUARD = """
folder=$1; shift
exec 3<&0
"$@" </dev/null 3<&- &
child=$!
{ read -r line <&3; [ -z "$folder" ] || rm -rf "$folder"; kill -TERM 0; } >/dev/null 2>&1 &
exec 3<&-
wait "$child"
"""
"""Shell that runs a command until its own standard input ends, which the end of this process does too, a kill -9 included.

The command has a process group, so that a kubectl behind a wrapper ends as well, and Ctrl+C reaches this process alone.
"""
_LOG_LINE = re.compile(r"[IWEF][0-9]{4} ")
"""Beginning of a line of kubectl's own log; other lines are for the user, e.g. those of an exec plugin that wants a login."""
_STOP_SECONDS = 2.0
_START_SECONDS = 15.0


def _nothing(_line: str) -> None:
    pass


class Kubectl:
    """One process of kubectl, and what it said."""

    def __init__(self, process: asyncio.subprocess.Process, on_message: Callable[[str], None]) -> None:
        self._process = process
        self._stdin = cast("asyncio.StreamWriter", process.stdin)
        self._stdout = cast("asyncio.StreamReader", process.stdout)
        self._stderr = cast("asyncio.StreamReader", process.stderr)
        self._messages: deque[str] = deque(maxlen=5)
        self._on_message = on_message
        self._reading = asyncio.create_task(self._read_messages())
        self._draining: asyncio.Task[bytes] | None = None

    @property
    def message(self) -> str:
        """The last sentence that kubectl wrote to its standard error; empty: none."""
        return self._messages[-1] if self._messages else ""

    @property
    def has_ended(self) -> bool:
        """True once kubectl has ended. Its port may then be anybody's."""
        return self._process.returncode is not None

    async def _read_messages(self) -> None:
        while line := await self._message_line():
            text = line.decode(errors="replace").strip()
            is_error = text.startswith("error: ")
            self._messages.append(text.removeprefix("error: "))
            if not (is_error or _LOG_LINE.match(text)):
                self._on_message(text)

    async def _message_line(self) -> bytes:
        """Return the next line of the standard error; of one that is too long what it begins with is left out."""
        while True:
            with suppress(ValueError):
                return await self._stderr.readline()

    async def first_line(self) -> str:
        """Return the first line that kubectl prints. Raises ClusterAway, with kubectl's own words, if it ends without one."""
        try:
            async with asyncio.timeout(_START_SECONDS):
                line = await self._stdout.readline()
        except TimeoutError:
            raise ClusterAway(self.message or f"kubectl is silent for {_START_SECONDS:.0f} s") from None
        if not line:
            with suppress(TimeoutError):
                async with asyncio.timeout(_STOP_SECONDS):
                    await asyncio.shield(self._reading)
            raise ClusterAway(self.message or "kubectl ended without a word")
        self._draining = asyncio.create_task(self._stdout.read())  # a port-forward says each connection
        return line.decode(errors="replace").strip()

    async def wait(self) -> None:
        """Wait until kubectl ends."""
        await self._process.wait()

    async def stop(self) -> None:
        """End kubectl."""
        self._stdin.close()
        try:
            async with asyncio.timeout(_STOP_SECONDS):
                await self._process.wait()
        except TimeoutError:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            await self._process.wait()
        await self._reading
        if self._draining:
            await self._draining


@asynccontextmanager
async def kubectl(
    *words: str, folder: str = "", on_message: Callable[[str], None] = _nothing
) -> AsyncIterator[Kubectl]:
    """Run kubectl with these words until the block ends. ``folder`` is removed with it, even if this process is killed.

    ``on_message`` gets the lines that kubectl writes for its user. Raises ClusterAway if there is no kubectl.
    """
    program = shutil.which("kubectl")
    if program is None:
        raise ClusterAway("there is no kubectl on the PATH")
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        *("/bin/sh", "-c", _GUARD, "kubectl-sympozium", folder, program, *words),
        stdin=pipe,
        stdout=pipe,
        stderr=pipe,
        process_group=0,
    )
    child = Kubectl(process, on_message)
    try:
        yield child
    finally:
        await asyncio.shield(child.stop())
