"""Fields of a request that are left out because no instance can honour them, and because the answer means the same without them."""

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

from sympozium_openai.bodies import JsonObject


def known(model: type[BaseModel], given: Mapping[str, Any], at: str, ignored: list[str]) -> JsonObject:
    """Return the fields that a model knows. Paths of the others go to ``ignored``, unless they are switched off."""
    names = {field.alias or name for name, field in model.model_fields.items()}
    ignored += [f"{at}.{name}" for name, value in given.items() if name not in names and value not in (None, False)]
    return {name: value for name, value in given.items() if name in names}
