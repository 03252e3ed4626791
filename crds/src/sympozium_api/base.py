"""The common base of all kinds: the model's base class, Kubernetes metadata, conditions and durations."""

import re
from datetime import datetime
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from sympozium_api.timestamps import parse_timestamp


class ApiModel(BaseModel):
    """An object of the API. Field docstrings become the CRD's descriptions (``kubectl explain`` shows them)."""

    model_config = ConfigDict(
        alias_generator=to_camel,
        populate_by_name=True,
        use_attribute_docstrings=True,
        frozen=True,
        hide_input_in_errors=True,  # errors are logged, and an object's content must not be
    )

    def __deepcopy__(self, memo: dict[int, Any] | None = None) -> Self:
        """Return the object itself, because it is frozen. pydantic would copy each default for every object that is read."""
        return self


def rule(expression: str, message: str, *, field: str | None = None) -> dict[str, str]:
    """Return one CEL validation rule of a CRD schema. ``field`` is the path of the field that a refusal names; None: the rule's own."""
    return {"rule": expression, "message": message, **({"fieldPath": field} if field else {})}


def rules(*validations: dict[str, str], **extra: Any) -> dict[str, Any]:
    """Return the ``json_schema_extra`` that carries CEL rules."""
    return {"x-kubernetes-validations": list(validations), **extra}


Name = Annotated[str, Field(min_length=1, max_length=253)]
"""Name of an object in the same namespace."""

PATTERN_MESSAGE = "x-pattern-message"
"""Key of a JSON schema: the sentence with which the API server refuses a text that its pattern does not match."""


def matching(pattern: str, message: str, **constraints: Any) -> Any:
    """Return the constraints of a text; ``message`` says what to write. Of a bare pattern the API server shows the expression."""
    extra = constraints.pop("json_schema_extra", {})
    return Field(pattern=pattern, json_schema_extra=extra | {PATTERN_MESSAGE: message}, **constraints)


_DURATION = "^([0-9]+h)?([0-9]+m)?([0-9]+s)?$"
Duration = Annotated[
    str,
    matching(
        _DURATION,
        "write hours, minutes and seconds, such as 90s, 5m or 1h30m",
        max_length=20,
        json_schema_extra=rules(
            rule(
                f"!self.matches('{_DURATION}')"
                " || (self != '' && duration(self) >= duration('1s') && duration(self) <= duration('24h'))",
                "must be from 1s to 24h",
            )
        ),
    ),
]
"""Hours, minutes and seconds as in ``1h30m``."""

NO_SPACE = r"\x00-\x20\x7f"
"""Part of a negated class of a pattern: no control character and no space. Patterns use no class such as ``\\s``, which is ASCII for
the API server's engine and Unicode for ours."""

OpenObject = Annotated[dict[str, Any], Field(json_schema_extra={"x-kubernetes-preserve-unknown-fields": True})]
"""An object without a schema, stored as it was sent."""

HTTP_URL = matching("^https?://", "write a URL with http:// or https://, such as http://vllm.models.svc:8000/v1")
"""Constraint of an address that is called over HTTP."""

StringMap = Annotated[dict[str, Annotated[str, Field(max_length=4096)]], Field(max_length=64)]


def seconds(duration: str) -> int:
    """Return the seconds in a ``Duration``, or in one with days, as settings may have it. Raises ValueError for any other text."""
    found = re.fullmatch(r"(?:([0-9]+)d)?(?:([0-9]+)h)?(?:([0-9]+)m)?(?:([0-9]+)s)?", duration)
    if not duration or not found:
        raise ValueError(f"{duration!r} is not a duration such as 90s or 1h30m")
    days, hours, minutes, rest = (int(group or 0) for group in found.groups())
    return days * 86_400 + hours * 3600 + minutes * 60 + rest


class OwnerReference(ApiModel):
    """The owner of an object, in the same namespace."""

    api_version: str
    kind: str
    name: str
    uid: str
    controller: bool = False


class Metadata(ApiModel):
    """The part of ObjectMeta that this project reads."""

    name: str = ""
    namespace: str = ""
    uid: str = ""
    generation: int = 0
    resource_version: str = ""
    creation_timestamp: str = ""
    deletion_timestamp: str | None = None
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}
    owner_references: list[OwnerReference] = []

    @property
    def created(self) -> datetime:
        """Time of the object's creation."""
        return parse_timestamp(self.creation_timestamp)


class Condition(ApiModel):
    """One aspect of an object's state, as in metav1.Condition."""

    type: Annotated[str, Field(max_length=64)]
    status: Annotated[str, Field(json_schema_extra={"enum": ["True", "False", "Unknown"]})]
    reason: Annotated[str, Field(max_length=64)]
    message: Annotated[str, Field(max_length=1024)] = ""
    observed_generation: int | None = None
    last_transition_time: Annotated[str, Field(json_schema_extra={"format": "date-time"})]


Conditions = Annotated[
    list[Condition],
    Field(
        max_length=16,
        json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"]},
    ),
]


RECONCILING = "Reconciling"
"""Type of the condition of an object that is on its way to another state; kstatus, and so Flux, reads it as in progress."""
OBJECT_DEFAULT = "x-object-default"
"""Key of a JSON schema: what the API server shows for an object that nobody has written yet."""


def in_progress(reason: str, message: str) -> Any:
    """Return the constraint of a status that the API server shows as in progress until its first writer replaces the condition."""
    condition: dict[str, Any] = {"type": RECONCILING, "status": "True", "reason": reason, "message": message}
    condition["lastTransitionTime"] = "1970-01-01T00:00:00Z"  # as in the Gateway API's defaults
    return Field(json_schema_extra={OBJECT_DEFAULT: {"conditions": [condition]}})


class Resource(ApiModel):
    """The fields of every custom resource beside its spec and status."""

    api_version: str = ""
    kind: str = ""
    metadata: Metadata = Metadata()

    @property
    def key(self) -> tuple[str, str]:
        """Namespace and name."""
        return self.metadata.namespace, self.metadata.name


def owner_reference(owner: Resource) -> dict[str, Any]:
    """Return the controller owner reference of an object's children, which Kubernetes deletes with the object.

    The children do not block the object's deletion, because that asks for a right on the owner's finalizers where the API server
    has the admission plugin OwnerReferencesPermissionEnforcement (OpenShift).
    """
    return {
        "apiVersion": owner.api_version,
        "kind": owner.kind,
        "name": owner.metadata.name,
        "uid": owner.metadata.uid,
        "controller": True,
        "blockOwnerDeletion": False,
    }
