"""JSON as compact UTF-8."""

import json
from typing import Any

_ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))


def json_bytes(value: dict[str, Any]) -> bytes:
    """Return compact UTF-8; with escapes where a model cut a surrogate pair in half, so that the caller can join the halves."""
    try:
        return _ENCODER.encode(value).encode()
    except UnicodeEncodeError:
        return json.dumps(value, separators=(",", ":")).encode()
