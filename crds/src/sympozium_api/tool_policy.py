"""The tools that a run may call, by its ``spec.toolPolicy``. Pure."""

from fnmatch import fnmatchcase

from sympozium_api.run import ToolPolicy


def allows(policy: ToolPolicy | None, function: str) -> bool:
    """Return true if a run's policy allows a function: a pattern of ``deny`` wins, and an empty ``allow`` allows all."""
    if policy is None:
        return True
    if any(fnmatchcase(function, pattern) for pattern in policy.deny):
        return False
    return not policy.allow or any(fnmatchcase(function, pattern) for pattern in policy.allow)
