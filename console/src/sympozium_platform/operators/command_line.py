"""The command line of ``python -m sympozium_platform``."""

import argparse
import asyncio
import math
import os
import sys
from collections.abc import Mapping, Sequence

from sympozium_platform.operators.dashboard import dashboard
from sympozium_platform.operators.load import LoadRequest, load
from sympozium_platform.operators.platform_client import PlatformClient
from sympozium_platform.operators.route_check import RouteCheck

API_URL, API_KEY, REFRESH_INTERVAL = "API_URL", "API_KEY", "REFRESH_INTERVAL"
_URL = "http://127.0.0.1:8000"
_SECONDS = "2"


def run(arguments: Sequence[str], environ: Mapping[str, str]) -> int:
    """Run a command, and return the exit status: 0, 1 for a failed check, an error under load or no token, 2 for wrong arguments."""
    options = _parser(environ).parse_args(arguments)
    try:
        return asyncio.run(_run(options, environ.get(API_KEY, "")))
    except KeyboardInterrupt:
        return 0


def main() -> None:
    """Run the command line of this process."""
    sys.exit(run(sys.argv[1:], os.environ))


async def _run(options: argparse.Namespace, api_key: str) -> int:
    async with PlatformClient.connect(options.url, api_key) as client:
        answer = await client.sign_in()
        if answer.status != 200 and options.command != "dashboard":
            sys.stderr.write(
                f"There is no token for the key in {API_KEY}: {answer.status or 'no answer'}: {answer.message}\n"
            )
            return 1
        match options.command:
            case "check":
                return 0 if await RouteCheck(client, _write).run(options.model) else 1
            case "load":
                request = LoadRequest.of(options.agent)
                _write(f"{options.callers} callers, {options.seconds:g} s: {request}")
                figures = await load(client, request, options.callers, options.seconds)
                for line in figures.lines():
                    _write(line)
                return 1 if figures.errors else 0
        await dashboard(client, _write, options.interval, is_terminal=sys.stdout.isatty())
    return 0


def _write(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def _parser(environ: Mapping[str, str]) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m sympozium_platform",
        description=f"Look at an agent platform API. The variable {API_KEY} has a key with the scope tools:write.",
    )
    commands = parser.add_subparsers(dest="command", required=True)
    check = commands.add_parser("check", help="call every route once; status 1 if one fails")
    live = commands.add_parser("dashboard", help="show connections and runs, live")
    under_load = commands.add_parser("load", help="show times, rate and errors under load")
    for command in (check, live, under_load):
        url = environ.get(API_URL, _URL)
        command.add_argument("url", nargs="?", default=url, help=f"address of the API ({API_URL}; default {_URL})")
    check.add_argument("--model", help="model of the agent that the check makes, as provider:model")
    interval = environ.get(REFRESH_INTERVAL, _SECONDS)
    live.add_argument(
        "--interval", type=_above_zero, default=interval, help=f"seconds ({REFRESH_INTERVAL}; default {_SECONDS})"
    )
    under_load.add_argument("callers", nargs="?", type=_count, default="20", help="callers at a time (20)")
    under_load.add_argument("seconds", nargs="?", type=_above_zero, default="30", help="seconds (30)")
    under_load.add_argument("--agent", metavar="ID", help="start runs of this agent, instead of listing agents")
    return parser


def _above_zero(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = 0
    if not 0 < number < math.inf:
        raise argparse.ArgumentTypeError(f"{text} is not a number of seconds above 0")
    return number


def _count(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and int(text)):
        raise argparse.ArgumentTypeError(f"{text} is not a whole number above 0")
    return int(text)
