"""Kubernetes quantities (``50m``, ``64Mi``, ``1e3``) as numbers."""

import re
from decimal import Decimal

_SUFFIXES = {
    "n": Decimal("1e-9"),
    "u": Decimal("1e-6"),
    "m": Decimal("1e-3"),
    "": Decimal(1),
    **{suffix: Decimal(1000) ** power for power, suffix in enumerate("kMGTPE", start=1)},
    **{f"{suffix}i": Decimal(1024) ** power for power, suffix in enumerate("KMGTPE", start=1)},
}


class InvalidQuantity(ValueError):
    """Text that is not a quantity."""


def quantity(text: str) -> Decimal:
    """Return the number of a quantity. Raises InvalidQuantity."""
    parts = re.fullmatch(r"([0-9]+\.?[0-9]*|\.[0-9]+)(?:([eE][-+]?[0-9]{1,2})|([a-zA-Z]{0,2}))", text)
    if not parts or (parts[3] or "") not in _SUFFIXES:
        raise InvalidQuantity(f"{text!r} is not a quantity")
    return Decimal(parts[1] + (parts[2] or "")) * _SUFFIXES[parts[3] or ""]
