"""The terminal's end."""

import os
import select
import signal
import sys
import threading


def end_with_terminal() -> None:
    """End this process when the terminal of its standard input goes, as SIGHUP does, which only the session of that terminal gets.

    Textual does not notice it: it would wait for its screen for ever, and read an input that has ended as quickly as it can.
    """
    threading.Thread(target=_wait, name="hang-up", daemon=True).start()


def _wait() -> None:
    terminal = select.poll()
    terminal.register(sys.stdin, 0)  # a hang-up is told without being asked for
    [(_, event)] = terminal.poll()
    if event & select.POLLNVAL:  # a system whose poll does not know terminals
        return
    os._exit(128 + signal.SIGHUP)  # the main thread may wait for the screen, so that it handles no signal
