"""Address of the Valkey or Redis in which replicas count together, from a variable or a mounted file."""

from collections.abc import Mapping
from pathlib import Path

from sympozium_api.settings_parser import InvalidSetting

_SCHEMES = ("redis", "rediss", "valkey", "valkeys")


def read_redis_url(environ: Mapping[str, str], variable: str, file: str = "") -> str:
    """Return the URL in a variable, else in a file; empty where neither is. Raises InvalidSetting, without the URL's password."""
    url = (environ.get(variable) or _mounted(file)).strip()
    if url and url.partition("://")[0] not in _SCHEMES:
        raise InvalidSetting(f"{variable} is not a URL such as redis://valkey:6379")
    return url


def _mounted(file: str) -> str:
    return Path(file).read_text() if file and Path(file).exists() else ""
