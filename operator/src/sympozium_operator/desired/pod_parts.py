"""Parts that several of the desired objects share."""

from collections.abc import Iterable
from pathlib import PurePosixPath

from sympozium_api import effective, environment
from sympozium_api.instance import SympoziumInstance
from sympozium_api.resources import Object, ResourceType

USER = 65532
"""The user and group of our images' processes: nobody in particular, and never root."""
READABLE = 0o440
"""Mode of a secret file: for the pod's group, which is the process's own."""
PROVIDER_VOLUME = "provider"
PROVIDER_DIR = str(PurePosixPath(environment.PROVIDER_KEY_FILES[0]).parent)


def head(kind: ResourceType, name: str, namespace: str, *, labels: dict[str, str], owner: Object) -> Object:
    """apiVersion, kind and metadata of an object that goes when its owner goes."""
    metadata: Object = {"name": name, "namespace": namespace, "labels": dict(labels), "ownerReferences": [dict(owner)]}
    return {"apiVersion": kind.api_version, "kind": kind.kind, "metadata": metadata}


def pod_security() -> Object:
    """A pod's securityContext that Pod Security ``restricted`` accepts; the group makes mounted Secrets readable."""
    return {
        "runAsNonRoot": True,
        "runAsUser": USER,
        "runAsGroup": USER,
        "fsGroup": USER,
        "seccompProfile": {"type": "RuntimeDefault"},
    }


def container_security() -> Object:
    """A container's securityContext: no privilege, nothing writable but mounted volumes."""
    return {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "readOnlyRootFilesystem": True,
    }


def pull_secrets(instance: SympoziumInstance) -> Object:
    """``imagePullSecrets`` of an instance's pods, where it names any."""
    found = [{"name": secret.name} for secret in instance.spec.image_pull_secrets]
    return {"imagePullSecrets": found} if found else {}


def template(
    labels: dict[str, str], pod: Object, *, installation: Object, annotations: dict[str, str] | None = None
) -> Object:
    """A pod template: what the installation says about these pods, and over it what they must have."""
    metadata = installation.get("metadata", {})
    notes = metadata.get("annotations", {}) | (annotations or {})
    return {
        "metadata": {"labels": metadata.get("labels", {}) | labels} | ({"annotations": notes} if notes else {}),
        "spec": installation.get("spec", {}) | pod,
    }


def variables(values: Iterable[tuple[str, str]]) -> list[Object]:
    """Environment variables with plain values."""
    return [{"name": name, "value": value} for name, value in values]


def provider_key(model: effective.EffectiveModel) -> list[Object]:
    """The volume with a model's API key as a file, if the model has one."""
    if model.secret is None:
        return []
    paths = [PurePosixPath(path).name for path in environment.PROVIDER_KEY_FILES]
    items = [{"key": key, "path": path} for key, path in zip(effective.key_names(model.provider), paths, strict=True)]
    secret = {"secretName": model.secret, "items": items, "optional": True, "defaultMode": READABLE}
    return [{"name": PROVIDER_VOLUME, "secret": secret}]
