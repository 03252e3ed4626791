"""How many examples the property tests try. They do not shrink: an example of a whole process takes a second, shrinking hundreds."""

from hypothesis import HealthCheck, Phase, settings

_PHASES = (Phase.explicit, Phase.generate)
_UNCHECKED = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.filter_too_much]
"""Checks that schemas with many rules fail now and then, by chance."""

MANY = settings(max_examples=30, phases=_PHASES, suppress_health_check=_UNCHECKED)
"""For loops that are run in memory."""
FEW = settings(MANY, max_examples=15)
"""For processes on a real socket, which all examples of a test share."""
