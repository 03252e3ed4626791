"""SkillPack: instructions, and where needed a server, that an agent can be given."""

from typing import Annotated, Literal

from pydantic import Field

from sympozium_api.base import ApiModel, Name, OpenObject, Resource, StringMap


class Skill(ApiModel):
    """One set of instructions."""

    name: Annotated[str, Field(min_length=1, max_length=63)]
    """Name of the skill, unique among all skills of an instance."""
    description: Annotated[str | None, Field(max_length=1024)] = None
    """When to use it."""
    content: Annotated[str, Field(max_length=65536)]
    """The instructions, in Markdown. A parameter's name in double braces stands for its value."""


class SidecarPort(ApiModel):
    """A port that the sidecar listens on."""

    name: Annotated[str, Field(max_length=15)]
    """Name of the port."""
    container_port: Annotated[int, Field(ge=1, le=65535)]
    """Its number."""


class RbacRule(ApiModel):
    """Rights that the sidecar asks for."""

    api_groups: Annotated[list[str], Field(max_length=16)] = []
    """API groups."""
    resources: Annotated[list[str], Field(max_length=16)] = []
    """Resources."""
    verbs: Annotated[list[str], Field(max_length=16)] = []
    """Verbs."""


class Sidecar(ApiModel):
    """A container that belongs to a skill."""

    image: Annotated[str, Field(min_length=1, max_length=512)]
    """Its image."""
    command: Annotated[list[Annotated[str, Field(max_length=1024)]], Field(max_length=64)] = []
    """Its command, in place of the image's own."""
    env: StringMap = {}
    """Its environment; never secrets, which go into ``secretRef``."""
    ports: Annotated[list[SidecarPort], Field(max_length=16)] = []
    """Ports that it listens on."""
    requires_server: bool = False
    """Whether it is a server that outlives a request: the operator then runs it as a Deployment with a Service."""
    rbac: Annotated[list[RbacRule], Field(max_length=16)] = []
    """Rights that it asks for. This version grants none from here: a server gets the web-proxy's Role."""
    secret_ref: Name | None = None
    """A Secret whose keys are mounted as files."""
    resources: OpenObject | None = None
    """Requests and limits, as in a pod's container."""


class Parameter(ApiModel):
    """A value that an instance may set for the skill."""

    name: Annotated[str, Field(max_length=63)]
    """Name of the parameter."""
    description: Annotated[str | None, Field(max_length=1024)] = None
    """What it does."""
    default: Annotated[str | None, Field(max_length=1024)] = None
    """Its value where the instance sets none."""


class SkillPackSpec(ApiModel):
    """What a SkillPack holds."""

    skills: Annotated[list[Skill], Field(max_length=64)] = []
    """Instructions for the agent. Those of a pack ``web-endpoint`` are not read."""
    sidecar: Sidecar | None = None
    """A container that belongs to the skill. This version runs that of ``web-endpoint`` only, and refuses instances that name
    another pack with one."""
    parameters: Annotated[list[Parameter], Field(max_length=32)] = []
    """Values that an instance may set, and that the instructions may stand for. One without a default is the caller's to set."""


class SkillPackStatus(ApiModel):
    """What the operator reports of a SkillPack."""

    phase: Literal["Pending", "Ready", "Error"] | None = None
    """Ready: instances may use it. Error: one that names it is told why not."""
    skill_count: int | None = None
    """How many skills it holds."""
    config_map_name: Annotated[str | None, Field(max_length=253)] = None
    """The ConfigMap that holds its instructions. Never set: they are copied into one of each instance that names the pack."""


class SkillPack(Resource):
    """Instructions, and where needed a server, that an agent can be given."""

    spec: SkillPackSpec
    status: SkillPackStatus = SkillPackStatus()
