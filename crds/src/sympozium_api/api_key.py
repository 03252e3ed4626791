"""APIKey: a key of one namespace with scopes. The key itself is shown once and stored nowhere."""

from typing import Annotated, Literal, get_args

from pydantic import Field

from sympozium_api.base import ApiModel, Resource, matching, rule, rules

Scope = Literal[
    "tools:read",
    "tools:write",
    "operator.admin",
    "operator.read",
    "operator.write",
    "operator.approvals",
    "operator.pairing",
]
SCOPES: tuple[Scope, ...] = get_args(Scope)


def _immutable(*fields: str) -> dict[str, str]:
    """Return the transition rule that none of these fields changes, appears or disappears."""
    same = "(has(self.{0}) == has(oldSelf.{0}) && (!has(self.{0}) || self.{0} == oldSelf.{0}))"
    return rule(
        " && ".join(same.format(field) for field in fields),
        "an APIKey is immutable except for revoked; create another key instead",
    )


class APIKeySpec(ApiModel):
    """Content of an APIKey. Immutable, but for ``revoked``, which is set once."""

    model_config = {
        "json_schema_extra": rules(
            _immutable("name", "digest", "prefix", "user", "scopes", "expiresAt", "createdBy"),
            rule(
                "!(has(oldSelf.revoked) && oldSelf.revoked) || (has(self.revoked) && self.revoked)",
                "revoked cannot be set back to false",
            ),
        )
    }

    name: Annotated[str, Field(min_length=1, max_length=100)]
    """Name for people. Several keys may have the same."""
    digest: Annotated[
        str, matching("^[0-9a-f]{64}$", "write the HMAC-SHA256 of the key as 64 hexadecimal digits", max_length=64)
    ]
    """HMAC-SHA256 of the key with the console's pepper, hexadecimal."""
    prefix: Annotated[str | None, Field(max_length=32)] = None
    """First characters of the key, by which people recognise it."""
    user: Annotated[str, Field(min_length=1, max_length=253)]
    """User whom the key's requests are made for: in runs and in the audit."""
    scopes: Annotated[list[Scope], Field(min_length=1, max_length=len(SCOPES))]
    """Rights of the key, all in the key's namespace."""
    expires_at: Annotated[str | None, Field(json_schema_extra={"format": "date-time"})] = None
    """Time from which on the key is refused. Default: never."""
    created_by: Annotated[str | None, Field(max_length=253)] = None
    """Caller that created the key."""
    revoked: bool = False
    """True: the key is refused, for ever."""


class APIKey(Resource):
    """Key of callers of the console. It is valid in its own namespace only."""

    model_config = {
        "json_schema_extra": rules(rule("!has(oldSelf.spec) || has(self.spec)", "an APIKey is immutable")),
    }

    spec: APIKeySpec
