"""The one error of a database that does not answer, and which of its errors mean that."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

from sqlalchemy import exc

Reason = Literal["unreachable", "busy", "full", "read-only", "refused", "failing"]
"""``unreachable``: no connection. ``busy``: no connection or lock in time. ``full``: no space left. ``read-only``: a standby or a
read-only volume. ``refused``: wrong user, password or name, or no right. ``failing``: a damaged file or disk."""

_SQLSTATES: tuple[tuple[str, Reason], ...] = (
    ("53100", "full"),
    ("53", "busy"),
    ("08", "unreachable"),
    ("57P", "unreachable"),
    ("57014", "busy"),
    ("55P03", "busy"),
    ("40", "busy"),
    ("25006", "read-only"),
    ("28", "refused"),
    ("3D", "refused"),
    ("42501", "refused"),
    ("58", "failing"),
    ("XX", "failing"),
)
_SQLITE_ERRORS: tuple[tuple[str, Reason], ...] = (
    ("SQLITE_FULL", "full"),
    ("SQLITE_BUSY", "busy"),
    ("SQLITE_LOCKED", "busy"),
    ("SQLITE_READONLY", "read-only"),
    ("SQLITE_CANTOPEN", "unreachable"),
    ("SQLITE_PERM", "refused"),
    ("SQLITE_AUTH", "refused"),
    ("SQLITE_IOERR", "failing"),
    ("SQLITE_CORRUPT", "failing"),
    ("SQLITE_NOTADB", "failing"),
)


class DatabaseUnavailable(Exception):
    """The database cannot do what was asked now. The same may succeed later; nothing of the transaction is stored."""

    def __init__(self, reason: Reason, cause: BaseException | str) -> None:
        word = cause if isinstance(cause, str) else type(cause).__name__
        super().__init__(f"the database is {reason} ({word})")
        self.reason: Reason = reason


@contextmanager
def connecting() -> Iterator[None]:
    """Raise DatabaseUnavailable for everything that a driver raises while it connects."""
    try:
        yield
    except exc.TimeoutError as error:
        raise DatabaseUnavailable("busy", "every connection is in use") from error
    except exc.DBAPIError as error:
        raise DatabaseUnavailable(reason_of(error) or "unreachable", error.orig or error) from error
    except (OSError, TimeoutError) as error:
        raise DatabaseUnavailable("unreachable", error) from error


@contextmanager
def working() -> Iterator[None]:
    """Raise DatabaseUnavailable for errors of statements that mean it; others, such as a broken constraint, stay what they are."""
    try:
        yield
    except exc.DBAPIError as error:
        reason = reason_of(error)
        if reason is None:
            raise
        raise DatabaseUnavailable(reason, error.orig or error) from error


def reason_of(error: exc.DBAPIError) -> Reason | None:
    """Return why the database is unavailable; None if the error says something else."""
    causes = [error.orig, getattr(error.orig, "__cause__", None)]
    for cause in filter(None, causes):
        for attribute, table in (("sqlstate", _SQLSTATES), ("sqlite_errorname", _SQLITE_ERRORS)):
            word = getattr(cause, attribute, None)
            if word and (reason := next((reason for prefix, reason in table if word.startswith(prefix)), None)):
                return reason
        if isinstance(cause, OSError | TimeoutError):
            return "unreachable"
    return "unreachable" if error.connection_invalidated else None
