"""Parts that several desired objects share."""

from collections.abc import Iterable
from pathlib import PurePosixPath

from sympozium_api import effective, environment, provider_check
from sympozium_api.instance import SympoziumInstance
from sympozium_api.resolved_model import ResolvedModel
from sympozium_api.resources import Object, ResourceType

USER = 65532
"""User and group of our images' processes: unprivileged, and never root."""
READABLE = 0o440
"""Mode of a secret file: readable by the pod's group, which is the process's own."""
PROVIDER_VOLUME = "provider"
PROVIDERS_VOLUME = "providers"
HEADERS_VOLUME = "provider-headers"
"""Beginning of the names of volumes with secret headers."""


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


def key_volumes(model: effective.EffectiveModel, models: Iterable[ResolvedModel]) -> dict[str, Object]:
    """Return the volumes with the credentials of an instance's own model and of ``models``, by the folder at which each is mounted."""
    volumes = {}
    if model.secret is not None:
        volumes[str(PurePosixPath(environment.PROVIDER_KEY_FILES[0]).parent)] = _own_key(model, model.secret)
    of_providers = {model.folder: model for model in models if model.folder}
    sources = [_key(folder, each) for folder, each in of_providers.items() if each.secret]
    if sources:
        projected = {"defaultMode": READABLE, "sources": sources}
        volumes[environment.PROVIDER_KEYS_DIR] = {"name": PROVIDERS_VOLUME, "projected": projected}
    for number, (folder, each) in enumerate(of_providers.items()):
        if each.headers_secret:
            secret = {"secretName": each.headers_secret, "optional": True, "defaultMode": READABLE}
            mounted = f"{environment.PROVIDER_HEADERS_DIR}/{folder}"
            volumes[mounted] = {"name": f"{HEADERS_VOLUME}-{number}", "secret": secret}
    return volumes


def _own_key(model: effective.EffectiveModel, secret: str) -> Object:
    """Return the volume with a model's API key as a file."""
    paths = [PurePosixPath(path).name for path in environment.PROVIDER_KEY_FILES]
    items = [{"key": key, "path": path} for key, path in zip(effective.key_names(model.provider), paths, strict=True)]
    return {
        "name": PROVIDER_VOLUME,
        "secret": {"secretName": secret, "items": items, "optional": True, "defaultMode": READABLE},
    }


def _key(folder: str, model: ResolvedModel) -> Object:
    """Return the files with a Provider's API key. The operator does not know which entry of the Secret holds it."""
    entries = zip(provider_check.key_entries(model.provider), environment.PROVIDER_KEYS, strict=False)
    items = [{"key": entry, "path": f"{folder}/{file}"} for entry, file in entries]
    return {"secret": {"name": model.secret, "items": items, "optional": True}}
