"""Failures that end a command, each with its exit code and what helps."""


class Failure(Exception):
    """A failed run or a refusal; the message is for people."""

    exit_code = 1


class WrongUsage(Failure):
    """Words of the command line that do not fit together."""

    exit_code = 2


class ClusterAway(Failure):
    """No answer from the API server, or no way to it."""

    exit_code = 3


class Forbidden(Failure):
    """A right that the user lacks."""

    exit_code = 4


class NoCRDs(Failure):
    """A cluster without the kinds of Sympozium, or with those of an older version."""
