"""SkillPack ``web-endpoint``: what a namespace's own may change of the built-in one, whose container has the web-proxy's rights."""

from collections.abc import Iterator
from dataclasses import dataclass

from sympozium_api import names
from sympozium_api.skillpack import Sidecar, SkillPack
from sympozium_operator.policy.conditions import ConditionUpdate

_TUNABLE = "SYMPOZIUM_"
"""Prefix of the variables that a namespace may set: the web-proxy's own settings, none of Python's or of its libraries."""
_FIXED = {"image": "image", "command": "command", "ports": "ports", "secretRef": "secret_ref", "rbac": "rbac"}
"""Fields of a sidecar, and their attributes, that only the operator's namespace sets."""


@dataclass(frozen=True)
class WebEndpointPack:
    """The built-in SkillPack, and the one of the instance's namespace, if they exist."""

    built_in: SkillPack | None = None
    own: SkillPack | None = None

    @property
    def sidecar(self) -> Sidecar | None:
        """The container to run: the built-in one, with resources and settings of the namespace's own pack."""
        base = self.built_in.spec.sidecar if self.built_in else None
        own = self.own.spec.sidecar if self.own else None
        if base is None or own is None:
            return base
        env = base.env | {name: value for name, value in own.env.items() if name.startswith(_TUNABLE)}
        return base.model_copy(update={"resources": own.resources or base.resources, "env": env})

    @property
    def failure(self) -> ConditionUpdate | None:
        """The reason why these packs cannot make a web endpoint; None if they can."""
        skill = names.WEB_ENDPOINT_SKILL
        if self.built_in is None:
            return _refused("SkillPackNotFound", f"there is no SkillPack {skill} in the operator's namespace")
        base = self.built_in.spec.sidecar
        if base is None or base.image is None or not base.requires_server:
            where = self.built_in.metadata.namespace
            text = f"the SkillPack {skill} in namespace {where} has no sidecar with an image and requiresServer: true"
            return _refused("SkillPackHasNoServer", text)
        return None

    @property
    def refusal(self) -> ConditionUpdate | None:
        """The fields that the namespace's own pack may not set; they have no effect. None if there are none."""
        if self.own is None:
            return None
        where = f"the SkillPack {names.WEB_ENDPOINT_SKILL} in namespace {self.own.metadata.namespace}"
        if self.own.spec.sidecar is None:
            return _refused("SkillPackHasNoServer", f"{where} has no sidecar, and so changes nothing; delete it")
        fields = list(self._overreach())
        if not fields:
            return None
        text = f"{where} may set only resources and variables {_TUNABLE}* of its sidecar; remove {', '.join(fields)}"
        return _refused("SkillPackNotAllowed", text)

    def _overreach(self) -> Iterator[str]:
        base = self.built_in.spec.sidecar if self.built_in else None
        own = self.own.spec.sidecar if self.own else None
        if base is None or own is None:
            return
        for field, attribute in _FIXED.items():
            if getattr(own, attribute) not in (None, [], getattr(base, attribute)):
                yield f"spec.sidecar.{field}"
        for name, value in own.env.items():
            if not name.startswith(_TUNABLE) and base.env.get(name) != value:
                yield f"spec.sidecar.env.{name}"


NO_PACK = WebEndpointPack()


def _refused(reason: str, message: str) -> ConditionUpdate:
    return ConditionUpdate("Accepted", ok=False, reason=reason, message=message)
