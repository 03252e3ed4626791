"""Callers of the console's dialects: their keys and tokens, and what they may do. Knows no route and no error shape."""

from sympozium_domain.callers.caller import Caller, Subject

__all__ = ["Caller", "Subject"]
