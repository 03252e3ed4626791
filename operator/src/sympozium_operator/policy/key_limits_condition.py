"""Condition KeyLimitsValid: whether the limits beside the API keys of a web endpoint can be read."""

import base64
import binascii
from collections.abc import Iterator

from sympozium_api import key_limits
from sympozium_api.key_limits import InvalidLimits
from sympozium_api.resources import Object
from sympozium_operator.policy.conditions import ConditionUpdate

KEY_LIMITS_VALID = "KeyLimitsValid"
_REFUSED = "Until it is corrected, its key makes no runs."


def state(secret: Object) -> ConditionUpdate | None:
    """Return the condition for a Secret with API keys; None if it has no limits. The message names the first wrong entry."""
    data: dict[str, str] = secret.get("data") or {}
    entries = sorted(name for name in data if name.startswith(key_limits.PREFIX))
    if not entries:
        return None
    failure = next(_failures(data, entries), None)
    if failure is None:
        text = "all limits of API keys are in force"
        return ConditionUpdate(KEY_LIMITS_VALID, ok=True, reason="LimitsRead", message=text)
    text = f"the Secret {secret['metadata']['name']}: the entry {failure}"
    return ConditionUpdate(KEY_LIMITS_VALID, ok=False, reason="InvalidLimits", message=text)


def _failures(data: dict[str, str], entries: list[str]) -> Iterator[str]:
    for entry in entries[: key_limits.MAX_ENTRIES]:
        key = entry.removeprefix(key_limits.PREFIX)
        try:
            key_limits.parse(base64.b64decode(data[entry] or "").decode())
        except InvalidLimits as error:
            yield f"{entry} is not valid: {error}. {_REFUSED}"
        except (binascii.Error, UnicodeDecodeError):
            yield f"{entry} is not a text in UTF-8. {_REFUSED}"
        else:
            if key not in data:
                yield f"{entry} belongs to no key: there is no entry {key}."
    if len(entries) > key_limits.MAX_ENTRIES:
        first = entries[key_limits.MAX_ENTRIES]
        yield f"{first} and those after it do not count: {key_limits.MAX_ENTRIES} may have limits. Their keys make no runs."
