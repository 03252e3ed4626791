"""``version``: this command's, and the operator's."""

from importlib.metadata import PackageNotFoundError, version

from sympozium_cli.output import Format, print_line, print_value


def own_version() -> str:
    """Return the version of the installed package; ``unknown`` for one that runs from its sources."""
    try:
        return version("sympozium")
    except PackageNotFoundError:
        return "unknown"


def run(form: Format) -> None:
    """Print the version."""
    if form.is_table or form is Format.NAME:
        print_line(own_version())
    else:
        print_value({"clientVersion": own_version()}, form)
