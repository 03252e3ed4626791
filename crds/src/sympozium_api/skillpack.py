"""SkillPack: instructions that an agent can use and, if needed, a server."""

from typing import Annotated, Literal

from pydantic import Field

from sympozium_api.base import ApiModel, Name, OpenObject, Resource, StringMap


class Skill(ApiModel):
    """One set of instructions."""

    name: Annotated[str, Field(min_length=1, max_length=63)]
    """Name of the skill, unique among all skills of an instance."""
    description: Annotated[str | None, Field(max_length=1024)] = None
    """Situations in which to use the skill."""
    content: Annotated[str, Field(max_length=65536)]
    """Instructions in Markdown. A parameter's name in double braces is replaced by the parameter's value."""


class SidecarPort(ApiModel):
    """A port that the sidecar listens on."""

    name: Annotated[str, Field(max_length=15)]
    """Name of the port."""
    container_port: Annotated[int, Field(ge=1, le=65535)]
    """Number of the port."""


class RbacRule(ApiModel):
    """Permissions that the sidecar requests."""

    api_groups: Annotated[list[str], Field(max_length=16)] = []
    """API groups of the resources."""
    resources: Annotated[list[str], Field(max_length=16)] = []
    """Plural names of the resources."""
    verbs: Annotated[list[str], Field(max_length=16)] = []
    """Verbs that the sidecar uses on the resources."""


class Sidecar(ApiModel):
    """A container that belongs to a skill."""

    image: Annotated[str | None, Field(min_length=1, max_length=512)] = None
    """Image of the container. A namespace's own SkillPack ``web-endpoint`` sets only ``resources`` and ``SYMPOZIUM_*`` in ``env``:
    the operator's namespace names what runs with the web-proxy's rights."""
    command: Annotated[list[Annotated[str, Field(max_length=1024)]], Field(max_length=64)] = []
    """Command of the container. It replaces the image's."""
    env: StringMap = {}
    """Environment variables of the container. Secrets belong into ``secretRef``."""
    ports: Annotated[list[SidecarPort], Field(max_length=16)] = []
    """Ports that the container listens on."""
    requires_server: bool = False
    """True for a server that outlives a request. The operator runs it as a Deployment with a Service."""
    rbac: Annotated[list[RbacRule], Field(max_length=16)] = []
    """Permissions that the sidecar requests. Nothing reads this field in this version: a server gets the web-proxy's Role."""
    secret_ref: Name | None = None
    """Secret in the same namespace whose keys are mounted as files."""
    resources: OpenObject | None = None
    """Resource requests and limits, as in a pod's container."""


class Parameter(ApiModel):
    """A value that an instance may set for the skill."""

    name: Annotated[str, Field(max_length=63)]
    """Name of the parameter."""
    description: Annotated[str | None, Field(max_length=1024)] = None
    """Effect of the parameter."""
    default: Annotated[str | None, Field(max_length=1024)] = None
    """Value that applies if the instance sets none."""


class SkillPackSpec(ApiModel):
    """Content of a SkillPack."""

    skills: Annotated[list[Skill], Field(max_length=64)] = []
    """Instructions for the agent. Nothing reads those of a SkillPack named ``web-endpoint``."""
    sidecar: Sidecar | None = None
    """A container that belongs to the skill. This version runs only the sidecar of ``web-endpoint``. It refuses instances that use
    another SkillPack with a sidecar."""
    parameters: Annotated[list[Parameter], Field(max_length=32)] = []
    """Values that an instance may set and the instructions may use. The caller sets a parameter that has no default."""


class SkillPackStatus(ApiModel):
    """Observed state of a SkillPack, written by the operator."""

    phase: Literal["Pending", "Ready", "Error"] | None = None
    """Ready: instances can use the SkillPack. Error: the conditions of an instance that uses it say why it cannot."""
    skill_count: int | None = None
    """Number of skills in the SkillPack."""
    config_map_name: Annotated[str | None, Field(max_length=253)] = None
    """ConfigMap with the instructions. Nothing sets or reads this field: the operator copies the instructions into a ConfigMap of each
    instance that uses the SkillPack."""


class SkillPack(Resource):
    """Instructions that an agent can use and, if needed, a server."""

    spec: SkillPackSpec
    status: SkillPackStatus = SkillPackStatus()
