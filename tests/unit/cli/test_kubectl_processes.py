"""kubectl's processes end with the command, whatever ends it."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from sympozium_cli.cluster import connect
from sympozium_cli.endpoint_chat import open_endpoint
from sympozium_cli.failures import ClusterAway, WrongUsage
from sympozium_cli.kubectl import kubectl
from sympozium_cli.options import KubectlOptions

SERVES = """
echo $$ >"$FOLDER/pid"; echo "$@" >"$FOLDER/words"
echo "please log in at https://login.example.com" >&2
echo "E1129 05:11:45.896799 22148 proxy_server.go:147] Error while proxying request" >&2
echo "Starting to serve on it"
exec sleep 600
"""
HOLDS = """
import asyncio, sys
from sympozium_cli.cluster import connect
from sympozium_cli.options import KubectlOptions

async def main():
    async with connect(KubectlOptions(context="work")):
        print("connected", flush=True)
        await asyncio.sleep(600)

asyncio.run(main())
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a kubectl that comes first on the PATH."""
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setenv("FOLDER", str(tmp_path))
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    (tmp_path / "tmp").mkdir()
    return tmp_path


def install(folder: Path, script: str) -> None:
    program = folder / "kubectl"
    program.write_text(f"#!/bin/sh\n{script}")
    program.chmod(0o755)


def is_running(pid: int) -> bool:
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False


def wait_until_gone(*pids: int) -> None:
    deadline = time.monotonic() + 60
    while any(map(is_running, pids)):
        assert time.monotonic() < deadline
        time.sleep(0.02)


async def test_a_connection_is_a_proxy_on_a_socket_in_a_folder_of_the_users_own(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(folder, SERVES)
    monkeypatch.setattr("tempfile.tempdir", str(folder / "tmp"))
    options = KubectlOptions(namespace="team-a", context="work", impersonate="eve")
    messages: list[str] = []
    async with connect(options, on_message=messages.append) as cluster:
        pid = int((folder / "pid").read_text())
        assert is_running(pid)
        [private] = (folder / "tmp").iterdir()
        assert private.stat().st_mode & 0o777 == 0o700
        assert (folder / "words").read_text() == f"--context=work --as=eve proxy --unix-socket={private}/api\n"
        assert (cluster.namespace, cluster.context) == ("team-a", "work")
        assert cluster.kubectl_args == ("--context=work", "--as=eve")
    wait_until_gone(pid)
    assert not private.exists()
    assert messages == ["please log in at https://login.example.com"]


async def test_all_namespaces_are_none_in_particular(folder: Path) -> None:
    install(folder, SERVES)
    async with connect(KubectlOptions(namespace="team-a", all_namespaces=True)) as cluster:
        assert cluster.namespace is None
        with pytest.raises(WrongUsage, match="-n NAME instead of -A"):
            _ = cluster.one_namespace


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL, signal.SIGINT])
def test_a_killed_command_leaves_no_kubectl_and_no_folder(folder: Path, number: signal.Signals) -> None:
    install(folder, SERVES)
    words = ["env", "--default-signal=INT", sys.executable, "-c", HOLDS]  # a shell's background jobs ignore it
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as command:
        assert command.stdout
        assert command.stdout.readline() == "connected\n"
        pid = int((folder / "pid").read_text())
        command.send_signal(number)
        command.wait(20)
    wait_until_gone(pid)
    deadline = time.monotonic() + 60
    while list((folder / "tmp").iterdir()):
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_terminal_that_goes_without_a_signal_ends_the_ui_and_kubectl(folder: Path) -> None:
    install(folder, SERVES)
    terminal, its_end = os.openpty()
    words = [sys.executable, "-m", "sympozium_cli", "tui", "-A"]
    with subprocess.Popen(words, stdin=its_end, stdout=its_end, stderr=its_end, start_new_session=True) as ui:
        os.close(its_end)
        read = b""
        while b"\x1b[?1049h" not in read:  # the UI has taken the screen
            read += os.read(terminal, 65536)
        pid = int((folder / "pid").read_text())
        os.close(terminal)
        assert ui.wait(60) == 128 + signal.SIGHUP
    wait_until_gone(pid)


async def test_a_kubectl_behind_a_wrapper_ends_too(folder: Path) -> None:
    install(folder, 'sleep 600 &\necho $! >"$FOLDER/pid"; echo ready; wait')
    async with kubectl("proxy") as child:
        assert await child.first_line() == "ready"
        pid = int((folder / "pid").read_text())
    await asyncio.to_thread(wait_until_gone, pid)


async def test_a_refusal_of_kubectl_is_told_in_its_words(folder: Path) -> None:
    install(folder, "echo 'error: context \"no\" does not exist' >&2; exit 1")
    with pytest.raises(ClusterAway, match=r'^context "no" does not exist$'):
        async with connect(KubectlOptions(context="no")):
            pass


async def test_a_forward_that_has_ended_gets_no_key(folder: Path) -> None:
    """Its port is anybody's by then."""
    asked: list[bytes] = []

    async def other_process(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(await reader.readline())
        writer.close()

    async with await asyncio.start_server(other_process, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        install(folder, f"echo 'Forwarding from 127.0.0.1:{port} -> 8080'; echo 'lost connection to pod' >&2")
        async with open_endpoint((), "team", "alice-server", "alice", "sk-1") as way:
            await way.forward.wait()
            with pytest.raises(ClusterAway, match="lost connection to pod"):
                await anext(way.ask([{"role": "user", "content": "hello"}]))
    assert asked == []


async def test_no_kubectl_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(ClusterAway, match="no kubectl on the PATH"):
        async with connect(KubectlOptions()):
            pass


async def test_a_kubectl_that_does_not_want_to_end_is_killed(folder: Path) -> None:
    install(folder, "trap '' TERM\necho $$ >\"$FOLDER/pid\"; echo ready\nwhile :; do sleep 0.1; done")
    async with asyncio.timeout(60), kubectl("proxy") as child:
        assert await child.first_line() == "ready"
        pid = int((folder / "pid").read_text())
    await asyncio.to_thread(wait_until_gone, pid)


async def test_a_message_without_end_does_not_stop_the_command(folder: Path) -> None:
    install(
        folder,
        "head -c 300000 /dev/zero | tr '\\0' x >&2\necho >&2\necho 'error: it broke' >&2\necho ready\nexec sleep 600",
    )
    async with asyncio.timeout(60), kubectl("proxy") as child:
        assert await child.first_line() == "ready"
        while child.message != "it broke":
            await asyncio.sleep(0.01)
