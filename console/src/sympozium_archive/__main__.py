"""``python -m sympozium_archive migrate``: bring the database's schema to this version, then end."""

import argparse
import asyncio
import os

from sympozium_api import logs
from sympozium_archive.database_settings import DatabaseSettings
from sympozium_archive.migrate import WAIT_SECONDS, migrate
from sympozium_archive.schema import UnusableDatabase
from sympozium_archive.unavailable import DatabaseUnavailable


def main() -> None:
    """Run the command. A database that is unusable, or does not answer, ends it with status 1 and a sentence."""
    parser = argparse.ArgumentParser(prog="python -m sympozium_archive", description="Manage the archive's database.")
    parser.add_argument("command", choices=["migrate"], help="bring the schema to this version")
    parser.add_argument("--wait", type=float, default=WAIT_SECONDS, help="seconds to wait for the database")
    arguments = parser.parse_args()
    settings = DatabaseSettings.from_environment(os.environ)
    try:
        asyncio.run(migrate(settings, arguments.wait))
    except (UnusableDatabase, DatabaseUnavailable) as error:
        raise SystemExit(f"{settings}: {error}") from error


if __name__ == "__main__":
    logs.configure()
    main()
