"""The commands' words and options. What a command does is in ``commands``, imported when it runs."""

import sys
from collections.abc import Sequence
from dataclasses import replace
from importlib import import_module
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from sympozium_cli.command_line import close_stdout, connected, run_connected, with_options
from sympozium_cli.failures import WrongUsage
from sympozium_cli.options import KubectlOptions
from sympozium_cli.output import Format

if TYPE_CHECKING:
    from sympozium_cli.cluster import Cluster

PROGRAM = "kubectl sympozium"

Phase = Literal["Pending", "Running", "Serving", "Succeeded", "Failed", "Cancelled"]
"""As ``sympozium_api.run_status`` has it, which takes long to import."""
Instance = Annotated[str, typer.Argument(metavar="INSTANCE", show_default=False)]
Run = Annotated[str, typer.Argument(metavar="RUN", show_default=False)]
Output = Annotated[Format, typer.Option("--output", "-o", help="Form of the result.")]
OperatorNamespace = Annotated[str, typer.Option(metavar="NAMESPACE", help="Namespace of the operator.")]
Wait = Annotated[bool, typer.Option("--wait", help="Wait until it is done.")]

app = typer.Typer(
    name=PROGRAM,
    rich_markup_mode=None,  # Rich takes longer than all the rest of --help
    add_completion=False,
    pretty_exceptions_enable=False,
    no_args_is_help=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def run(words: Sequence[str]) -> int:
    """Run a command line, and return its exit code. A reader of the output that leaves early is no error."""
    code, stdout = 0, sys.stdout
    try:
        app(list(words), prog_name=PROGRAM)
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 0
    try:
        stdout.flush()
    except BrokenPipeError:
        close_stdout(stdout)
        return 0
    return code if sys.stdout is stdout else 0  # Typer replaces an output whose reader has left


@app.callback(invoke_without_command=True)
@with_options
def plugin(options: KubectlOptions) -> int | None:
    """Switch agents on and off, chat with them, and find out why a run failed. Without a command: the terminal UI."""
    return _show(options) if _has_terminal() else run(["--help"])


def _has_terminal() -> bool:
    return sys.stdin.isatty() and sys.stdout.isatty()


def _show(options: KubectlOptions, *, read_only: bool = False) -> int | None:
    """Show the UI, of one context after another as its user chooses them."""
    from sympozium_cli.hang_up import end_with_terminal

    end_with_terminal()
    contexts = list[str]()

    async def show_once(cluster: "Cluster") -> None:
        from sympozium_cli.tui.app import show

        if chosen := await show(cluster, read_only=read_only):
            contexts.append(chosen)

    while True:
        code = run_connected(options, show_once, lambda: import_module("sympozium_cli.tui.app"))
        if not contexts:
            return code
        options = replace(options, context=contexts.pop(), namespace=None)


@app.command()
@with_options
def tui(
    options: KubectlOptions,
    *,
    read_only: Annotated[bool, typer.Option("--read-only", help="Refuse keys that change something.")] = False,
) -> int | None:
    """Open the terminal UI."""
    if not _has_terminal():
        raise WrongUsage(f"the terminal UI needs a terminal; {PROGRAM} --help names the commands for scripts")
    return _show(options, read_only=read_only)


@app.command()
@connected
async def enable(
    cluster: "Cluster",
    name: Instance,
    *,
    requests_per_minute: Annotated[int | None, typer.Option(min=1, help="Rate limit of each API key.")] = None,
    burst: Annotated[int | None, typer.Option(min=1, help="Requests that a key may send at once.")] = None,
    hostname: Annotated[str | None, typer.Option(help="Host name at the gateway.", show_default=False)] = None,
    wait: Wait = False,
    output: Output = Format.TABLE,
) -> None:
    """Switch an agent's web endpoint on, or change its limits."""
    from sympozium_cli.commands import switch

    rate: dict[str, Any] = {"requestsPerMinute": requests_per_minute, "burstSize": burst}
    rate = {field: value for field, value in rate.items() if value is not None}
    values = ({"rateLimit": rate} if rate else {}) | ({} if hostname is None else {"hostname": hostname or None})
    await switch.run(cluster, name, output, enabled=True, values=values, wait=wait)


@app.command()
@connected
async def disable(cluster: "Cluster", name: Instance, *, wait: Wait = False, output: Output = Format.TABLE) -> None:
    """Switch an agent's web endpoint off. Open requests are finished."""
    from sympozium_cli.commands import switch

    await switch.run(cluster, name, output, enabled=False, wait=wait)


@app.command()
@with_options
def chat(
    options: KubectlOptions,
    name: Instance,
    text: Annotated[
        str | None,
        typer.Argument(metavar="[TEXT|-]", help="Question; - reads it. Default: a conversation.", show_default=False),
    ] = None,
    *,
    model: Annotated[
        str, typer.Option(help="One of the instance's models. Default: its own.", show_default=False)
    ] = "",
) -> int | None:
    """Ask an agent, and print its answer as it comes."""
    from sympozium_cli.commands import chat

    question = chat.question_of(text, sys.stdin)
    if question is None:
        return chat.converse(options, name, model)
    return run_connected(options, lambda cluster: chat.once(cluster, name, question, model))


@app.command("run")
@connected
async def run_task(
    cluster: "Cluster",
    name: Instance,
    task: Annotated[str, typer.Argument(metavar="TASK", help="Question; - reads it.", show_default=False)],
    *,
    wait: Annotated[bool, typer.Option("--wait", help="Wait for the answer, and print it.")] = False,
    output: Output = Format.TABLE,
) -> None:
    """Start a run of an agent."""
    from sympozium_cli.commands import run_task

    await run_task.run(cluster, name, sys.stdin.read() if task == "-" else task, output, wait=wait)


@app.command()
@connected
async def runs(
    cluster: "Cluster",
    *,
    instance: Annotated[str | None, typer.Option("--instance", "-i", help="Runs of this instance.")] = None,
    phase: Annotated[Phase | None, typer.Option(help="Runs in this phase.")] = None,
    since: Annotated[str | None, typer.Option(metavar="DURATION", help="Runs of the last 90s, 1h30m, 2d ...")] = None,
    watch: Annotated[bool, typer.Option("--watch", "-w", help="Print changes too, until Ctrl+C.")] = False,
    output: Output = Format.TABLE,
) -> None:
    """List runs, the newest first."""
    from sympozium_cli.commands import runs

    await runs.run(cluster, output, runs.Filters(instance, phase, since), follow=watch)


@app.command()
@connected
async def logs(
    cluster: "Cluster",
    name: Run,
    *,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Print what comes, until the pod ends.")] = False,
    tail: Annotated[int | None, typer.Option(min=0, help="Last lines only.", show_default=False)] = None,
) -> None:
    """Print the log of a run's pod."""
    from sympozium_cli.commands import logs

    await logs.run(cluster, name, follow=follow, tail=tail)


@app.command()
@connected
async def cancel(cluster: "Cluster", name: Run, *, output: Output = Format.TABLE) -> None:
    """End a run."""
    from sympozium_cli.commands import run_actions

    await run_actions.cancel(cluster, name, output)


@app.command()
@connected
async def repeat(cluster: "Cluster", name: Run, *, output: Output = Format.TABLE) -> None:
    """Start a run with the question of another one."""
    from sympozium_cli.commands import run_actions

    await run_actions.repeat(cluster, name, output)


@app.command()
@connected
async def key(
    cluster: "Cluster",
    name: Instance,
    *,
    entry: Annotated[
        str | None,
        typer.Option(help="Entry of the Secret, e.g. api-key-alice. Default: the first.", show_default=False),
    ] = None,
) -> None:
    """Print an API key of an agent's web endpoint."""
    from sympozium_cli.commands import endpoint

    await endpoint.key(cluster, name, entry)


@app.command()
@connected
async def url(cluster: "Cluster", name: Instance) -> None:
    """Print the base URL of an agent's web endpoint."""
    from sympozium_cli.commands import endpoint

    await endpoint.url(cluster, name)


@app.command("open")
@connected
async def open_console(
    cluster: "Cluster",
    page: Annotated[str, typer.Argument(metavar="[PAGE]", help="Path of the page.", show_default=False)] = "",
    *,
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port on this machine; 0: any free one.")] = 0,
    browser: Annotated[bool, typer.Option(help="Open a browser.")] = True,
    operator_namespace: OperatorNamespace = "sympozium-system",
) -> None:
    """Open the console in a browser, until Ctrl+C."""
    from sympozium_cli.commands import open_console

    await open_console.run(cluster, page, operator_namespace, port=port, browser=browser)


@app.command()
@connected
async def doctor(
    cluster: "Cluster", *, operator_namespace: OperatorNamespace = "sympozium-system", output: Output = Format.TABLE
) -> int:
    """Say what is wrong with the installation, and what helps."""
    from sympozium_cli.commands import doctor

    return await doctor.run(cluster, operator_namespace, output)


@app.command()
def completion(shell: Annotated[Literal["bash", "zsh", "fish"], typer.Argument(show_default=False)]) -> None:
    """Print a script that completes kubectl-sympozium. For kubectl sympozium, kubectl's own is enough."""
    from sympozium_cli.commands import completion

    completion.run(shell)


@app.command()
def version(output: Output = Format.TABLE) -> None:
    """Print the version of this command."""
    from sympozium_cli.commands import version

    version.run(output)
