"""Parts that several desired objects share."""

from collections.abc import Iterable
from pathlib import PurePosixPath

from sympozium_api import effective, environment
from sympozium_api.instance import SympoziumInstance
from sympozium_api.resolved_model import ResolvedModel
from sympozium_api.resources import Object, ResourceType

USER = 65532
"""User and group of our images' processes: unprivileged, and never root."""
READABLE = 0o440
"""Mode of a secret file: readable by the pod's group, which is the process's own."""
PROVIDER_VOLUME = "provider"
PROVIDERS_VOLUME = "providers"
KEY_FOLDERS = {
    PROVIDER_VOLUME: str(PurePosixPath(environment.PROVIDER_KEY_FILES[0]).parent),
    PROVIDERS_VOLUME: environment.PROVIDER_KEYS_DIR,
}
"""Folders at which the volumes with models' keys are mounted."""


def head(kind: ResourceType, name: str, namespace: str, *, labels: dict[str, str], owner: Object) -> Object:
    """Return apiVersion, kind and metadata of an object that Kubernetes deletes with its owner."""
    metadata: Object = {"name": name, "namespace": namespace, "labels": dict(labels), "ownerReferences": [dict(owner)]}
    return {"apiVersion": kind.api_version, "kind": kind.kind, "metadata": metadata}


def pod_security() -> Object:
    """Return a pod's securityContext that Pod Security ``restricted`` accepts; the group makes mounted Secrets readable."""
    return {
        "runAsNonRoot": True,
        "runAsUser": USER,
        "runAsGroup": USER,
        "fsGroup": USER,
        "seccompProfile": {"type": "RuntimeDefault"},
    }


def container_security() -> Object:
    """Return a container's securityContext: no privilege, nothing writable except mounted volumes."""
    return {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "readOnlyRootFilesystem": True,
    }


def pull_secrets(instance: SympoziumInstance) -> Object:
    """Return ``imagePullSecrets`` of an instance's pods, if it names any."""
    secrets = [{"name": secret.name} for secret in instance.spec.image_pull_secrets]
    return {"imagePullSecrets": secrets} if secrets else {}


def template(
    labels: dict[str, str], pod: Object, *, installation: Object, annotations: dict[str, str] | None = None
) -> Object:
    """Return a pod template: the installation's settings, overridden by what these pods must have."""
    metadata = installation.get("metadata", {})
    all_annotations = metadata.get("annotations", {}) | (annotations or {})
    return {
        "metadata": {"labels": metadata.get("labels", {}) | labels}
        | ({"annotations": all_annotations} if all_annotations else {}),
        "spec": installation.get("spec", {}) | pod,
    }


def variables(values: Iterable[tuple[str, str]]) -> list[Object]:
    """Return environment variables with plain values."""
    return [{"name": name, "value": value} for name, value in values]


def provider_key(model: effective.EffectiveModel) -> list[Object]:
    """Return the volume with a model's API key as a file, if the model has one."""
    if model.secret is None:
        return []
    paths = [PurePosixPath(path).name for path in environment.PROVIDER_KEY_FILES]
    items = [{"key": key, "path": path} for key, path in zip(effective.key_names(model.provider), paths, strict=True)]
    secret = {"secretName": model.secret, "items": items, "optional": True, "defaultMode": READABLE}
    return [{"name": PROVIDER_VOLUME, "secret": secret}]


def provider_keys(models: Iterable[ResolvedModel]) -> list[Object]:
    """Return the volume with the credentials of the models' Providers, a folder for each; none if no Provider has any."""
    sources: list[Object] = []
    for folder, model in {model.folder: model for model in models if model.folder}.items():
        if model.secret and model.secret_entry:
            key = {"key": model.secret_entry, "path": f"{folder}/{environment.PROVIDER_KEY}"}
            sources.append({"secret": {"name": model.secret, "items": [key], "optional": True}})
        if model.headers_secret and model.header_entries:
            headers = f"{folder}/{environment.PROVIDER_HEADERS}"
            items = [{"key": entry, "path": f"{headers}/{entry}"} for entry in model.header_entries]
            sources.append({"secret": {"name": model.headers_secret, "items": items, "optional": True}})
    return [{"name": PROVIDERS_VOLUME, "projected": {"defaultMode": READABLE, "sources": sources}}] if sources else []
