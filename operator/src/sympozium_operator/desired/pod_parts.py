"""Parts that several desired objects share."""

from collections.abc import Iterable
from pathlib import PurePosixPath

from sympozium_api import effective, environment
from sympozium_api.instance import SympoziumInstance
from sympozium_api.resources import Object, ResourceType

USER = 65532
"""User and group of our images' processes: unprivileged, and never root."""
READABLE = 0o440
"""Mode of a secret file: readable by the pod's group, which is the process's own."""
PROVIDER_VOLUME = "provider"
PROVIDER_DIR = str(PurePosixPath(environment.PROVIDER_KEY_FILES[0]).parent)


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
