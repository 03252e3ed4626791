"""Options that kubectl has too, and the context and namespace that they select."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path

_POD_NAMESPACE = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")


@dataclass(frozen=True)
class KubectlOptions:
    """Options of a command that select the cluster, the user and the namespace, with kubectl's meaning."""

    namespace: str | None = None
    all_namespaces: bool = False
    context: str | None = None
    kubeconfig: str | None = None
    impersonate: str | None = None
    """User name of kubectl's ``--as``."""

    def over(self, outer: "KubectlOptions") -> "KubectlOptions":
        """Return these options, and of ``outer`` those that are not among them."""
        given = {field.name: value for field in fields(self) if (value := getattr(self, field.name))}
        return replace(outer, **given)

    @property
    def kubectl_args(self) -> tuple[str, ...]:
        """Options of every kubectl command line, without the namespace."""
        values = {"--kubeconfig": self.kubeconfig, "--context": self.context, "--as": self.impersonate}
        return tuple(f"{option}={value}" for option, value in values.items() if value)


@dataclass(frozen=True)
class CurrentContext:
    """Names in a kubeconfig; empty where it has none."""

    context: str
    namespace: str
    all_contexts: tuple[str, ...] = ()


def current_context(options: KubectlOptions, environment: Mapping[str, str]) -> CurrentContext:
    """Return the context that kubectl would use, and its namespace.

    Files are merged as kubectl does: the first that names a thing counts. kubectl itself takes a fifth of a second to say it, and
    says what is wrong with a file: here it counts as empty.
    """
    documents = [_read(file) for file in _files(options, environment)]
    name = options.context or next(filter(None, (document.get("current-context") for document in documents)), "")
    entries = [entry for document in documents for entry in document.get("contexts") or () if entry.get("name")]
    known = tuple(sorted({str(entry["name"]) for entry in entries}))
    for entry in entries:
        if entry["name"] == name:
            return CurrentContext(name, (entry.get("context") or {}).get("namespace") or "default", known)
    in_pod = not name and _POD_NAMESPACE.exists()
    return CurrentContext(name, _POD_NAMESPACE.read_text().strip() if in_pod else "default", known)


def _files(options: KubectlOptions, environment: Mapping[str, str]) -> list[Path]:
    if options.kubeconfig:
        return [Path(options.kubeconfig)]
    listed = [Path(file) for file in environment.get("KUBECONFIG", "").split(os.pathsep) if file]
    return listed or [Path.home() / ".kube/config"]


def _read(file: Path) -> dict:  # type: ignore[type-arg]
    import yaml

    try:
        document = yaml.load(file.read_text(), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506
    except (OSError, ValueError, yaml.YAMLError):
        return {}
    return document if isinstance(document, dict) else {}
