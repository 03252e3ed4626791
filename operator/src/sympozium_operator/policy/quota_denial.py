"""Reader of what Kubernetes says of a quota that denies an object. Pure."""

import re

from sympozium_api.resources import QUOTA_EXCEEDED
from sympozium_operator.desired.quantity import InvalidQuantity, quantity

_AMOUNTS = re.compile(
    rf"{QUOTA_EXCEEDED}: [^,]+, requested: (?P<requested>\S+), used: \S+, limited: (?P<limited>[^\s;]+)"
)


def is_of_quota(message: str) -> bool:
    """Return whether a message says that a quota is exceeded."""
    return QUOTA_EXCEEDED in message


def can_ever_fit(message: str) -> bool:
    """Return False if what was requested is more than the whole quota, so that nothing that others free is enough.

    The message is that of Kubernetes' admission, ``exceeded quota: NAME, requested: pods=1, used: pods=6, limited: pods=0``. Of
    another text nothing is known, so it may fit.
    """
    if (found := _AMOUNTS.search(message)) is None:
        return True
    limits = dict(_pairs(found["limited"]))
    try:
        return all(
            quantity(amount) <= quantity(limits.get(name, amount)) for name, amount in _pairs(found["requested"])
        )
    except InvalidQuantity:
        return True


def _pairs(text: str) -> list[tuple[str, str]]:
    return [(name, amount) for name, _, amount in (pair.partition("=") for pair in text.split(","))]
