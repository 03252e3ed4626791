"""Logs of our processes: one JSON object per line on standard output. No content, no keys: names, reasons and statuses."""

import logging
import sys

import structlog


def configure(level: str = "info") -> None:
    """Call once, when the process starts."""
    logging.basicConfig(format="%(message)s", stream=sys.stdout, level=logging.WARNING)
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
    )
