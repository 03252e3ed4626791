"""Instances and patches of instances that carry out what a caller wants of an agent. Pure."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sympozium_api import names
from sympozium_api.instance import SympoziumInstance
from sympozium_api.resources import INSTANCES, Object
from sympozium_domain import object_times
from sympozium_domain.agents.agent import Status, model_of, own_provider
from sympozium_domain.agents.versions import AgentVersion
from sympozium_domain.idempotent_creation import Creation


class NoSuchProvider(Exception):
    """A model whose provider the namespace does not have; the message names the provider."""


@dataclass(frozen=True)
class AgentFields:
    """Fields of an agent that a caller gives. None: not given."""

    title: str | None = None
    prompt: str | None = None
    model: str | None = None
    """``provider:model``."""
    params: dict[str, Any] | None = None
    """Parameters of the model's calls, under the names of ``ModelParams``."""
    removes_params: bool = False
    """True: the agent shall have no parameters."""
    status: Status | None = None


def parted(model: str) -> tuple[str, str]:
    """Return provider and model of ``provider:model``. Both may be empty in a text of another shape."""
    provider, _, name = model.partition(":")
    return provider, name


def manifest(creation: Creation, name: str, fields: AgentFields, owner: str, now: datetime) -> Object:
    """Return the instance of a new agent, whose fields have a title and a model."""
    provider, model = parted(fields.model or "")
    agent = {"model": model, "providerRef": provider}
    if fields.params is not None:
        agent["params"] = fields.params  # type: ignore[assignment] # the only value that is no text
    memory = {"memory": {"systemPrompt": fields.prompt}} if fields.prompt else {}
    body: Object = {
        "apiVersion": INSTANCES.api_version,
        "kind": INSTANCES.kind,
        "metadata": creation.metadata(name, owner, now),
        "spec": {"title": fields.title, "agents": {"default": agent}, **memory},
    }
    if fields.status == "published":
        version = AgentVersion.of_spec(SympoziumInstance.model_validate(body), 1)
        body["metadata"]["annotations"] |= publication(name, version)
    return body


def publication(name: str, version: AgentVersion) -> dict[str, str]:
    """Return the annotations of an instance whose runs get a version."""
    return {
        names.ANNOTATION_PUBLISHED_VERSION: names.agent_version(name, version.number),
        names.ANNOTATION_PUBLISHED_DIGEST: version.digest,
    }


def patch(instance: SympoziumInstance, fields: AgentFields) -> Object:
    """Return the merge patch of the spec that gives an instance the fields that it does not have already."""
    spec: Object = {}
    if fields.title is not None and fields.title != instance.spec.title:
        spec["title"] = fields.title
    if fields.prompt is not None and fields.prompt != (instance.spec.memory.system_prompt or ""):
        spec["memory"] = {"systemPrompt": fields.prompt or None}
    agent, others = _model_patch(instance, fields.model)
    if fields.removes_params or fields.params is not None:
        agent |= _params_patch(instance, fields.params)
    return spec | others | ({"agents": {"default": agent}} if agent else {})


def new_provider(instance: SympoziumInstance, model: str | None) -> str | None:
    """Return the Provider that an instance needs for a model; None: it keeps its model, or the server that it has without a Provider."""
    if model is None or model == model_of(instance):
        return None
    provider = parted(model)[0]
    return (
        None if provider == own_provider(instance) and instance.spec.agents.default.provider_ref is None else provider
    )


def stamp(instance: SympoziumInstance, now: datetime) -> Object:
    """Return the metadata of a change: its time and, of an instance that Kubernetes' users made, an id that a restore keeps."""
    metadata = instance.metadata
    label = {} if names.is_uuid(metadata.labels.get(names.LABEL_ID, "")) else {names.LABEL_ID: metadata.uid}
    return {"annotations": object_times.at_change(now), "labels": label, "resourceVersion": metadata.resource_version}


def _model_patch(instance: SympoziumInstance, model: str | None) -> tuple[Object, Object]:
    """Return what a model changes of ``agents.default``, and of the rest of the spec.

    A model of the same provider keeps the address and the key of an instance without a Provider.
    """
    if model is None:
        return {}, {}
    provider, name = parted(model)
    renamed = {} if name == instance.spec.agents.default.model else {"model": name}
    if provider == own_provider(instance):
        return renamed, {}
    return {"model": name, "providerRef": provider, "baseURL": None}, {"authRefs": None}


def _params_patch(instance: SympoziumInstance, params: dict[str, Any] | None) -> Object:
    """Return the change that replaces the parameters: a merge patch keeps those that it does not name."""
    present = instance.spec.agents.default.params.model_dump(exclude_none=True)
    if params is None:
        return {"params": None} if present or "params" in instance.spec.agents.default.model_fields_set else {}
    if params == present and "params" in instance.spec.agents.default.model_fields_set:
        return {}
    return {"params": dict.fromkeys(set(present) - set(params)) | params}
