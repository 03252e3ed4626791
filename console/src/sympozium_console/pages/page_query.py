"""Queries of pages: those of the API, as a form sends them."""

from typing import Any

from pydantic import BaseModel, model_validator


class FormQuery(BaseModel):
    """A query in which an empty field means that nothing is asked for, because a form sends all of its fields."""

    @model_validator(mode="before")
    @classmethod
    def _without_empty(cls, fields: dict[str, Any]) -> dict[str, Any]:
        return {name: value for name, value in fields.items() if value not in ("", [""])}
