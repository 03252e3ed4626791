"""Moments of a run, to the microsecond, and its duration as text."""

from datetime import datetime
from typing import Annotated

from pydantic import Field

from sympozium_api.base import ApiModel
from sympozium_api.timestamps import micro_timestamp, parse_timestamp

MicroTime = Annotated[str, Field(json_schema_extra={"format": "date-time"})]


class RunTimes(ApiModel):
    """Moments of a run in mode task, as far as the process that wrote them knew them."""

    accepted_at: MicroTime | None = None
    """Time at which the web-proxy accepted the request; of other runs, the second of their creation."""
    job_at: MicroTime | None = None
    """Second of the creation of the run's Job. Only of runs that the operator reported as running, or ended."""
    first_token_at: MicroTime | None = None
    """Time at which the first piece of the answer arrived at the replica that stored the end."""
    ended_at: MicroTime | None = None
    """Time at which the run ended."""


def times(**moments: str | datetime | None) -> dict[str, str]:
    """Return the known moments, by their names in RunTimes, as they are stored."""
    known = {name: moment for name, moment in moments.items() if moment}
    return {
        name: micro_timestamp(parse_timestamp(moment) if isinstance(moment, str) else moment)
        for name, moment in known.items()
    }


def duration_text(seconds: float) -> str:
    """Return a duration as people read it: ``14ms``, ``1.4s``, ``2m05s``, ``1h02m``; a negative one, of differing clocks, as ``0ms``."""
    milliseconds = max(0, round(seconds * 1000))
    if milliseconds < 1000:
        return f"{milliseconds}ms"
    if milliseconds < 59_950:
        return f"{milliseconds / 1000:.1f}s"
    minutes, rest = divmod(round(milliseconds / 1000), 60)
    return f"{minutes}m{rest:02}s" if minutes < 60 else f"{minutes // 60}h{minutes % 60:02}m"
