"""Parts that all commands share: kubectl's options, the connection, exit codes, interrupts and closed pipes."""

import asyncio
import functools
import inspect
import os
import sys
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Annotated, Any, TextIO

import typer

from sympozium_cli.failures import Failure
from sympozium_cli.options import KubectlOptions

if TYPE_CHECKING:
    from sympozium_cli.cluster import Cluster

INTERRUPTED = 130

Command = Callable[..., Coroutine[Any, Any, int | None]]


def kubectl_options(
    context: typer.Context,
    *,
    namespace: Annotated[
        str | None, typer.Option("--namespace", "-n", help="Namespace. Default: the context's.", show_default=False)
    ] = None,
    all_namespaces: Annotated[bool, typer.Option("--all-namespaces", "-A", help="All namespaces.")] = False,
    kube_context: Annotated[
        str | None, typer.Option("--context", help="Context of the kubeconfig.", show_default=False)
    ] = None,
    kubeconfig: Annotated[str | None, typer.Option(help="Kubeconfig file.", show_default=False)] = None,
    impersonate: Annotated[str | None, typer.Option("--as", help="User to impersonate.", show_default=False)] = None,
) -> KubectlOptions:
    """Return the options of a command, and those before it that are not repeated behind it."""
    outer = context.obj or KubectlOptions()
    given = KubectlOptions(namespace, all_namespaces, kube_context, kubeconfig, impersonate)
    return given.over(outer)


def with_options(command: Callable[..., int | None]) -> Callable[..., None]:
    """Give a command kubectl's options, as its first argument. Its result is the exit code; a failure has its own.

    What stands before all commands runs only if none of them follows.
    """
    shared = list(inspect.signature(kubectl_options).parameters.values())
    _, *own = inspect.signature(command).parameters.values()

    @functools.wraps(command)
    def run(context: typer.Context, **values: Any) -> None:
        given = {parameter.name: values.pop(parameter.name) for parameter in shared if parameter.name != "context"}
        context.obj = options = kubectl_options(context, **given)
        if context.invoked_subcommand is None:
            raise typer.Exit(_exit_code(lambda: command(options, **values)))

    parameters = [parameter.replace(kind=parameter.KEYWORD_ONLY) for parameter in (*own, *shared)]
    run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    run.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return run


def connected(command: Command) -> Callable[..., None]:
    """Give a command kubectl's options, and the cluster that they select as its first argument."""

    @functools.wraps(command)
    def run(options: KubectlOptions, **values: Any) -> int | None:
        return run_connected(options, lambda cluster: command(cluster, **values))

    return with_options(run)


def run_connected(
    options: KubectlOptions,
    command: "Callable[[Cluster], Coroutine[Any, Any, int | None]]",
    load: Callable[[], object] = lambda: None,
) -> int | None:
    """Run a command with the cluster that the options select; ``load`` imports what it needs while kubectl starts. Raises Failure."""
    return asyncio.run(_run(options, command, load))


async def _run(
    options: KubectlOptions,
    command: "Callable[[Cluster], Coroutine[Any, Any, int | None]]",
    load: Callable[[], object],
) -> int | None:
    from sympozium_cli.cluster import connect

    async with connect(options, on_message=say, load=load) as cluster:
        from sympozium_api.client import ApiError, ApiUnavailable
        from sympozium_cli.api_failures import failure_of
        from sympozium_cli.warnings_of_watches import configure

        configure()
        try:
            return await command(cluster)
        except (ApiError, ApiUnavailable) as error:
            raise failure_of(error) from error


def _exit_code(command: Callable[[], int | None]) -> int:
    try:
        return command() or 0
    except Failure as failure:
        say(f"error: {failure}")
        return failure.exit_code
    except (KeyboardInterrupt, asyncio.CancelledError):
        return INTERRUPTED
    except BrokenPipeError:
        close_stdout(sys.stdout)
        return 0


def say(text: str) -> None:
    """Tell the user something that is no data: on standard error, without escape sequences."""
    from sympozium_cli.plain_text import plain_lines

    print(*plain_lines(text), sep="\n", file=sys.stderr, flush=True)


def close_stdout(stdout: TextIO) -> None:
    """Lead what is still buffered for a standard output that is closed to nowhere, so that nothing fails at the end of the process."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), stdout.fileno())
