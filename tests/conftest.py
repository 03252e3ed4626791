"""Hypothesis profiles and command-line options of all tests."""

from collections.abc import Iterator

import pytest
import structlog
from hypothesis import HealthCheck, settings
from tests.databases import database, database_settings, postgres_server, sqlite_template

__all__ = ["database", "database_settings", "postgres_server", "sqlite_template"]  # fixtures of several folders

# How long an example takes says how busy the machine is, and nothing about the property.
settings.register_profile("any-machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
# test_malformed.py takes half of the examples, and sends 20 requests for each.
settings.register_profile("malformed-100000", settings.get_profile("any-machine"), max_examples=10_000)
# test_joined_answers.py cuts each stream in 20 ways.
settings.register_profile("joined-100000", settings.get_profile("any-machine"), max_examples=5_000)
settings.load_profile("any-machine")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option by which ``local/test.sh`` runs tests/e2e in phases."""
    parser.addoption(
        "--phase",
        choices=["browser", "together", "alone", "last"],
        help="of tests/e2e only what a browser shows (marker `browser`); or what may run side by side; or what may not (`alone`); or"
        " what comes last (`measures`, `audit` and `dismantles`)",
    )


@pytest.fixture(autouse=True)
def _unconfigured_logs() -> Iterator[None]:
    """Undo what a command of the CLI does in a test's process: it configures the logs of all that follow."""
    yield
    structlog.reset_defaults()
