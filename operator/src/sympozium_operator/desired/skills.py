"""The ConfigMap in which an instance's skills are kept, for its agents and its web-proxy."""

from typing import Any

from sympozium_api import names, skills
from sympozium_api.base import owner_reference
from sympozium_api.instance import SympoziumInstance
from sympozium_api.resources import CONFIG_MAPS
from sympozium_api.skills import InstalledSkill
from sympozium_operator.desired import parts

COMPONENT = "skills"


def config_map(instance: SympoziumInstance, installed: list[InstalledSkill]) -> dict[str, Any]:
    """One document with all of them: a copy, so that no reference crosses a namespace (rule 12)."""
    name = instance.metadata.name
    labels, owner = names.labels(COMPONENT, instance=name), owner_reference(instance)
    head = parts.head(
        CONFIG_MAPS, names.installed_skills(name), instance.metadata.namespace, labels=labels, owner=owner
    )
    return head | {"data": {skills.DOCUMENT: skills.render(installed)}}
