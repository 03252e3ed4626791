"""``kubectl-sympozium``, which kubectl finds on the PATH as ``kubectl sympozium``."""

import sys

from sympozium_cli.app import run


def main() -> None:
    """Run the command line of this process."""
    sys.exit(run(sys.argv[1:]))


if __name__ == "__main__":
    main()
