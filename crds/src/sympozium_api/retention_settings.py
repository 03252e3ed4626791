"""Settings of the retention of runs, which the operator and the archive's console read from the same variables."""

from sympozium_api.environment import KEY_RETENTION
from sympozium_api.retention import Retention
from sympozium_api.settings_parser import SettingsParser, byte_count, duration, whole_number


def read_retention(parser: SettingsParser) -> Retention:
    """Return the retention of this process's variables. Raises InvalidSetting."""
    read = parser.read
    return Retention(
        longest=read("SYMPOZIUM_RUN_RETENTION", "24h", duration),
        shortest=read("SYMPOZIUM_SHORTEST_RETENTION", "1h", duration),
        key=read(KEY_RETENTION, "24h", duration),
        kept=read("SYMPOZIUM_RUNS_KEPT", "1000", whole_number(1, 100_000)),
        at_most=read("SYMPOZIUM_RUNS_KEPT_AT_MOST", "20000", whole_number(1, 1_000_000)),
        stored_bytes=read("SYMPOZIUM_STORED_BYTES", "256Mi", byte_count("16Mi", "65536Mi")),
    )
