"""What kubectl does most, without its process, which costs a fifth of a second of processor time."""

import atexit
import base64
import json
import os
import ssl
import subprocess
import tempfile
import time
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import httpx2

Object = dict[str, Any]

_DISCOVERY = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
_APPLY = {"fieldManager": "kubectl", "force": "true", "fieldValidation": "Strict"}
_SELECTORS = {"-l": "labelSelector", "--selector": "labelSelector", "--field-selector": "fieldSelector"}


class NeedsKubectl(Exception):
    """A request that is kubectl's: it means what only kubectl knows, or its refusal is to be told in kubectl's words."""


@dataclass(frozen=True)
class Collection:
    """Where the objects of a kind are."""

    path: str
    """``/api/v1`` or ``/apis/<group>/<version>``."""
    plural: str
    is_namespaced: bool

    def url(self, namespace: str, name: str = "") -> str:
        scope = f"/namespaces/{namespace}" if self.is_namespaced else ""
        return f"{self.path}{scope}/{self.plural}" + (f"/{name}" if name else "")


def get(namespace: str, kind: str, name: str) -> Object:
    """An object as ``kubectl get -o json`` prints it. Raises NeedsKubectl."""
    return _shown(_asked("GET", _collection(kind).url(namespace, name)))


def items(namespace: str, kind: str, words: tuple[str, ...]) -> list[Object]:
    """The objects of ``kubectl get -o json`` with these selectors. Raises NeedsKubectl."""
    body = _asked("GET", _collection(kind).url(namespace), params=_selectors(words))
    head = {"apiVersion": body["apiVersion"], "kind": body["kind"].removesuffix("List")}
    return [_shown(head | item) for item in body["items"]]


def merge(namespace: str, kind: str, name: str, patch: Object) -> None:
    """Patch an object as ``kubectl patch --type=merge``. Raises NeedsKubectl."""
    headers = {"Content-Type": "application/merge-patch+json"}
    _asked("PATCH", _collection(kind).url(namespace, name), content=json.dumps(patch), headers=headers)


def apply(namespace: str, manifests: Iterable[Object]) -> None:
    """Apply objects in order, as ``kubectl apply --server-side --force-conflicts``. Raises NeedsKubectl, and may be repeated."""
    headers = {"Content-Type": "application/apply-patch+yaml"}
    for manifest in manifests:
        metadata = manifest["metadata"]
        url = _collection(f"{manifest['kind']} {manifest['apiVersion']}").url(
            metadata.get("namespace", namespace), metadata["name"]
        )
        _asked("PATCH", url, params=_APPLY, content=json.dumps(manifest), headers=headers)


def delete(namespace: str, kind: str, name: str, *, wait: bool) -> None:
    """Delete an object if it exists, and wait until it is gone, as ``kubectl delete --ignore-not-found``. Raises NeedsKubectl."""
    if name.startswith("-"):  # an option, such as --all
        raise NeedsKubectl
    url = _collection(kind).url(namespace, name)
    if (found := _found(url)) is None:
        return
    _asked("DELETE", url, json={"propagationPolicy": "Background"}, absent={})
    uid = found["metadata"]["uid"]
    while wait and (left := _found(url)) and left["metadata"]["uid"] == uid:
        time.sleep(0.1)


def _found(url: str) -> Object | None:
    return _asked("GET", url, absent={}) or None


def _shown(body: Object) -> Object:
    body["metadata"].pop("managedFields", None)
    return body


def _selectors(words: tuple[str, ...]) -> dict[str, str]:
    found, rest = {}, list(words)
    while rest:
        flag, _, value = rest.pop(0).partition("=")
        if flag not in _SELECTORS:
            raise NeedsKubectl
        found[_SELECTORS[flag]] = value or rest.pop(0)
    return found


def _collection(kind: str) -> Collection:
    if kind not in _collections():
        _collections.cache_clear()  # a kind may come with a test
    if kind not in _collections():
        raise NeedsKubectl
    return _collections()[kind]


@cache
def _collections() -> dict[str, Collection]:
    """Every kind by all of its names, those of the core group first, as kubectl looks them up."""
    found: dict[str, Collection] = {}
    for root in ("/api", "/apis"):
        for group in _asked("GET", root, headers={"Accept": _DISCOVERY})["items"]:
            name = group["metadata"].get("name", "")
            for version in group["versions"]:
                path = "/".join(filter(None, (root, name, version["version"])))
                for resource in version["resources"]:
                    plural = resource["resource"]
                    collection = Collection(path, plural, resource["scope"] == "Namespaced")
                    short = (plural, resource["singularResource"], *resource.get("shortNames", ()))
                    for known in (*short, *(f"{one}.{name}" for one in short)):
                        found.setdefault(known, collection)
                    of_kind = resource["responseKind"]["kind"]
                    found[f"{of_kind} {path.removeprefix(root).lstrip('/')}"] = collection
    return found


def _asked(method: str, path: str, *, absent: Object | None = None, **request: Any) -> Object:
    """The answer, or ``absent`` if there is no such object."""
    try:
        response = _client(os.environ.get("KUBECONFIG", "")).request(method, path, **request)
    except httpx2.HTTPError as error:
        raise NeedsKubectl from error
    if response.status_code == 404 and absent is not None:
        return absent
    if response.status_code not in (200, 201, 202):
        raise NeedsKubectl
    body: Object = response.json()
    return body


@cache
def _client(_kubeconfig: str) -> httpx2.Client:
    """A client of the current cluster, with the current user's certificate."""
    viewed = subprocess.run(
        ["kubectl", "config", "view", "--minify", "--raw", "-o", "json"], capture_output=True, text=True, check=True
    )
    config = json.loads(viewed.stdout)
    cluster, user = config["clusters"][0]["cluster"], config["users"][0]["user"]
    tls = ssl.create_default_context(cadata=base64.b64decode(cluster["certificate-authority-data"]).decode())
    with tempfile.TemporaryDirectory() as folder:
        certificate = Path(folder) / "pem"
        certificate.touch(mode=0o600)
        certificate.write_bytes(
            b"".join(base64.b64decode(user[f"client-{part}-data"]) for part in ("certificate", "key"))
        )
        tls.load_cert_chain(certificate)
    client = httpx2.Client(base_url=cluster["server"], verify=tls, trust_env=False, timeout=30)
    atexit.register(client.close)
    return client
