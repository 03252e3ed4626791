"""CustomResourceDefinitions, generated from the typed models.

``python -m sympozium_api.generate.crds DIR`` writes them, one file per kind; ``make generate`` calls it.
"""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from sympozium_api import run_columns
from sympozium_api.api_key import APIKey
from sympozium_api.base import Resource
from sympozium_api.config import SympoziumConfig
from sympozium_api.generate.schema import structural
from sympozium_api.instance import SympoziumInstance
from sympozium_api.names import GROUP, VERSION
from sympozium_api.policy import SympoziumPolicy
from sympozium_api.provider import Provider
from sympozium_api.run import AgentRun
from sympozium_api.run_part import AgentRunPart
from sympozium_api.skillpack import SkillPack
from sympozium_api.tool import Tool
from sympozium_api.tool_binding import ToolBinding

_HEADER = "# Made by `make generate` from crds/src/sympozium_api. Do not edit.\n"
_KEEP = {"helm.sh/resource-policy": "keep"}
"""Annotation that keeps a definition, and with it all objects of the kind, when the chart ``sympozium-crds`` is uninstalled."""
_AGE = ("Age", "date", ".metadata.creationTimestamp")


@dataclass(frozen=True)
class Kind:
    """A model's names, columns and selectable fields at the API server. A column is (title, type, JSON path)."""

    model: type[Resource]
    plural: str
    short: tuple[str, ...]
    columns: tuple[tuple[str, str, str], ...]
    wide_columns: tuple[tuple[str, str, str], ...] = ()
    """Columns of ``kubectl get -o wide`` only."""
    selectable: tuple[str, ...] = ()


KINDS = (
    Kind(
        SympoziumInstance,
        "sympoziuminstances",
        ("instance", "instances"),  # `kubectl get instance` and `kubectl get instances`
        (
            ("Ready", "string", ".status.conditions[?(@.type=='Ready')].status"),
            ("Phase", "string", ".status.phase"),
            ("Reason", "string", ".status.conditions[?(@.type=='Ready')].reason"),
            ("Model", "string", ".spec.agents.default.model"),
            ("Idle", "integer", ".status.warmPool.idle"),
            ("URL", "string", ".status.webEndpoint.url"),
            _AGE,
        ),
        selectable=(".status.phase", ".spec.policyRef"),
    ),
    Kind(
        AgentRun,
        "agentruns",
        ("run", "runs"),  # `kubectl get run` and `kubectl get runs`
        run_columns.COLUMNS,
        wide_columns=run_columns.WIDE_COLUMNS,
        selectable=(".status.phase", ".spec.agentRef", ".spec.claim.jobName", ".spec.mode"),
    ),
    Kind(
        AgentRunPart,
        "agentrunparts",
        ("runpart", "runparts"),  # `kubectl get runpart` and `kubectl get runparts`
        (
            ("Run", "string", ".spec.run"),
            ("Text", "string", ".spec.text"),
            ("Index", "integer", ".spec.index"),
            _AGE,
        ),
    ),
    Kind(
        SkillPack,
        "skillpacks",
        ("sp",),
        (("Phase", "string", ".status.phase"), ("Skills", "integer", ".status.skillCount"), _AGE),
    ),
    Kind(
        Tool,
        "tools",
        ("tl",),
        (
            ("InForce", "string", ".status.conditions[?(@.type=='InForce')].status"),
            ("Reason", "string", ".status.conditions[?(@.type=='InForce')].reason"),
            ("Function", "string", ".status.function"),
            ("Title", "string", ".spec.title"),
            ("Version", "string", ".spec.version"),
            _AGE,
        ),
    ),
    Kind(
        ToolBinding,
        "toolbindings",
        ("tb",),
        (
            ("InForce", "string", ".status.conditions[?(@.type=='InForce')].status"),
            ("Reason", "string", ".status.conditions[?(@.type=='InForce')].reason"),
            ("Agent", "string", ".spec.agentRef"),
            ("Tool", "string", ".spec.toolRef"),
            ("Scope", "string", ".spec.permissionScope"),
            ("Rate", "string", ".spec.rateLimit"),
            _AGE,
        ),
        selectable=(".spec.agentRef", ".spec.toolRef"),
    ),
    Kind(
        Provider,
        "providers",
        ("prov",),
        (
            ("Type", "string", ".spec.type"),
            ("Base", "string", ".status.apiBase"),
            ("Enabled", "boolean", ".spec.enabled"),
            ("Accepted", "string", ".status.conditions[?(@.type=='Accepted')].status"),
            ("Reachable", "string", ".status.conditions[?(@.type=='Reachable')].status"),
            ("Reason", "string", ".status.conditions[?(@.type=='Reachable')].reason"),
            _AGE,
        ),
    ),
    Kind(
        SympoziumPolicy,
        "sympoziumpolicies",
        ("spol",),
        (
            ("Accepted", "string", ".status.conditions[?(@.type=='Accepted')].status"),
            ("Reason", "string", ".status.conditions[?(@.type=='Accepted')].reason"),
            ("Bound", "integer", ".status.boundInstances"),
            ("Applies", "string", ".spec.appliesTo"),
            _AGE,
        ),
    ),
    Kind(
        APIKey,
        "apikeys",
        ("ak",),
        (
            ("Title", "string", ".spec.name"),
            ("Prefix", "string", ".spec.prefix"),
            ("User", "string", ".spec.user"),
            ("Scopes", "string", ".spec.scopes"),
            ("Expires", "string", ".spec.expiresAt"),
            ("Revoked", "boolean", ".spec.revoked"),
            _AGE,
        ),
        wide_columns=(("CreatedBy", "string", ".spec.createdBy"),),
    ),
    Kind(
        SympoziumConfig,
        "sympoziumconfigs",
        (),
        (("Phase", "string", ".status.phase"), ("Gateway", "boolean", ".status.gateway.ready"), _AGE),
    ),
)


def _columns(columns: tuple[tuple[str, str, str], ...], **priority: int) -> list[dict[str, Any]]:
    return [{"name": title, "type": kind_of, "jsonPath": path} | priority for title, kind_of, path in columns]


def definition(kind: Kind) -> dict[str, Any]:
    """Return the CustomResourceDefinition of a kind."""
    name = kind.model.__name__
    schema = structural(kind.model)
    schema["properties"] |= {
        "apiVersion": {"type": "string"},
        "kind": {"type": "string"},
        "metadata": {"type": "object", "properties": {"name": {"type": "string"}}},  # as rules name it
    }
    names = {"kind": name, "listKind": f"{name}List", "plural": kind.plural, "singular": name.lower()}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{kind.plural}.{GROUP}", "annotations": _KEEP},
        "spec": {
            "group": GROUP,
            "scope": "Namespaced",
            "names": {**names, "shortNames": list(kind.short), "categories": ["sympozium"]},
            "versions": [
                {
                    "name": VERSION,
                    "served": True,
                    "storage": True,
                    **({"subresources": {"status": {}}} if "status" in schema["properties"] else {}),
                    "selectableFields": [{"jsonPath": path} for path in kind.selectable],
                    "additionalPrinterColumns": [*_columns(kind.columns), *_columns(kind.wide_columns, priority=1)],
                    "schema": {"openAPIV3Schema": schema},
                }
            ],
        },
    }


def rendered(kind: Kind) -> str:
    """Return the content of a kind's YAML file."""
    return _HEADER + yaml.safe_dump(definition(kind), sort_keys=False, width=120, allow_unicode=True)


def filename(kind: Kind) -> str:
    """Return the name of a kind's YAML file."""
    return f"{GROUP}_{kind.plural}.yaml"


def main(folder: Path) -> None:
    """Write one file per kind into a folder."""
    for kind in KINDS:
        (folder / filename(kind)).write_text(rendered(kind))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
