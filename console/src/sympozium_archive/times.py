"""Times as the tables have them: microseconds since 1970 UTC, which both databases store, compare and index alike."""

from datetime import UTC, datetime, timedelta

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def microseconds(moment: datetime) -> int:
    """Return a time as microseconds; one before 1970 as 0."""
    return max(0, (moment - _EPOCH) // _MICROSECOND)


def moment(microseconds: int) -> datetime:
    """Return the time of a number of microseconds, in UTC; one that no calendar has as the last that it has."""
    try:
        return _EPOCH + timedelta(microseconds=microseconds)
    except OverflowError:
        return datetime.max.replace(tzinfo=UTC)


def moment_if_known(microseconds: int | None) -> datetime | None:
    """Return the time of a number of microseconds; None where there is none."""
    return None if microseconds is None else moment(microseconds)
