"""JSON as it goes over the wire."""

import json
from typing import Any


def json_bytes(value: dict[str, Any]) -> bytes:
    """Compact UTF-8; escapes instead where a model cut a character in half, so that the caller can put it together again."""
    try:
        return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
    except UnicodeEncodeError:
        return json.dumps(value, separators=(",", ":")).encode()
