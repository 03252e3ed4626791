"""The end of the process with its terminal."""

import os
import sys
from types import SimpleNamespace

import pytest

from sympozium_cli import hang_up


def test_a_system_whose_poll_does_not_know_terminals_ends_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    reader, writer = os.pipe()
    os.close(reader)  # poll answers POLLNVAL now
    os.close(writer)
    ended: list[int] = []
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(fileno=lambda: reader))
    monkeypatch.setattr(os, "_exit", ended.append)
    hang_up._wait()
    assert ended == []
