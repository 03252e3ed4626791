"""The tools that a run may call, by its ``spec.toolPolicy``. Pure."""

import re
from collections.abc import Iterable
from fnmatch import translate
from functools import lru_cache

from sympozium_api.run import ToolPolicy

_COMPILED = 256
"""Patterns that are kept compiled. ``fnmatch`` keeps 32,768, which callers write and which take kilobytes each."""


def allows(policy: ToolPolicy | None, function: str) -> bool:
    """Return true if a run's policy allows a function: a pattern of ``deny`` wins, and an empty ``allow`` allows all."""
    if policy is None:
        return True
    return not _matches(policy.deny, function) and (not policy.allow or _matches(policy.allow, function))


def _matches(patterns: Iterable[str], function: str) -> bool:
    return any(_compiled(pattern).match(function) for pattern in patterns)


@lru_cache(_COMPILED)
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(translate(pattern))
