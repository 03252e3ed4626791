"""A command on a terminal of its own: what it writes there, and when."""

import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

COLUMNS, LINES = 120, 30
_SEQUENCE = re.compile(r"\x1b(?:\[[0-9;?<>=]*[ -/]*[A-Za-z]|\][^\x07]*\x07|[()][A-Z0-9]|[=>78])")
_MOVE = re.compile(r"\x1b\[[0-9;]*[HfEF]")
_PLUGIN = (sys.executable, "-m", "sympozium_cli")


class Screen:
    """The other end of a command's terminal."""

    def __init__(self, process: subprocess.Popen[bytes], terminal: int, began: float) -> None:
        self.process = process
        self._terminal = terminal
        self._began = began

    @property
    def age(self) -> float:
        """Seconds since the start of the command."""
        return time.perf_counter() - self._began

    def seconds_until(self, pattern: str, keys: bytes = b"", within: float = 120.0) -> float:
        """Press keys, and return the seconds until what is written from then on matches a regular expression. Raises TimeoutError."""
        written, began = b"", time.perf_counter()
        if keys:
            os.write(self._terminal, keys)
        while time.perf_counter() - began < within:
            if select.select([self._terminal], [], [], 1)[0]:
                written += os.read(self._terminal, 1 << 16)
                if re.search(pattern, plain(written)):
                    return time.perf_counter() - began
        raise TimeoutError(f"the terminal does not show {pattern}:\n{plain(written)[-2000:]}")

    def resident_mb(self) -> float:
        """Return the most memory that the command has had, in MB; kubectl's is its own."""
        lines = Path(f"/proc/{self.process.pid}/status").read_text().splitlines()
        return int(next(line.split()[1] for line in lines if line.startswith("VmHWM:"))) / 1024


def plain(written: bytes) -> str:
    """Return what was written, with a line break for each move of the cursor and without other escape sequences."""
    return _SEQUENCE.sub("", _MOVE.sub("\n", written.decode(errors="replace")))


@contextmanager
def plugin(*words: str, environ: Mapping[str, str]) -> Iterator[Screen]:
    """Run kubectl-sympozium on a terminal until the block ends."""
    ours, its = pty.openpty()
    fcntl.ioctl(its, termios.TIOCSWINSZ, struct.pack("HHHH", LINES, COLUMNS, 0, 0))
    began = time.perf_counter()
    process = subprocess.Popen(
        [*_PLUGIN, *words], stdin=its, stdout=its, stderr=its, env=environ, start_new_session=True
    )
    os.close(its)
    try:
        yield Screen(process, ours, began)
    finally:
        process.kill()
        process.wait()
        os.close(ours)
