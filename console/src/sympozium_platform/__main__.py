"""``python -m sympozium_platform``: commands for operators. The server is part of ``python -m sympozium_console``."""

from sympozium_platform.operators.command_line import main

if __name__ == "__main__":
    main()
