"""The commands' words and options. What a command does is in ``commands``, imported when it runs."""

from collections.abc import Sequence

import typer

from sympozium_cli.command_line import with_options
from sympozium_cli.options import KubectlOptions

PROGRAM = "kubectl sympozium"

app = typer.Typer(
    name=PROGRAM,
    rich_markup_mode=None,  # Rich takes longer than all the rest of --help
    add_completion=False,
    pretty_exceptions_enable=False,
    no_args_is_help=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def run(words: Sequence[str]) -> int:
    """Run a command line, and return its exit code."""
    try:
        app(list(words), prog_name=PROGRAM)
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 0
    return 0


@app.callback(invoke_without_command=True)
@with_options
def plugin(_options: KubectlOptions) -> int | None:
    """Switch agents on and off, chat with them, and find out why a run failed."""
    return run(["--help"])


@app.command()
def version() -> None:
    """Print the version of this command."""
    from importlib.metadata import version

    print(version("sympozium"))
