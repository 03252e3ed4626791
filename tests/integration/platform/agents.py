"""Agents with published versions, as they are stored."""

import uuid
from typing import Any

from tests.fakes.kubernetes import FakeKubernetes
from tests.integration.platform.conftest import NAMESPACE

from sympozium_api import names
from sympozium_api.instance import SympoziumInstance
from sympozium_domain.agents.versions import AgentVersion


def publish(
    kubernetes: FakeKubernetes, name: str = "bot", *, number: int = 1, namespace: str = NAMESPACE, **agent: Any
) -> str:
    """Publish an agent with these fields of its spec, which is made if there is none. Return its id."""
    agent_id = str(uuid.uuid5(uuid.NAMESPACE_OID, f"{namespace}/{name}"))
    prompt = agent.pop("prompt", "Be kind.")
    body = draft(kubernetes, name, namespace=namespace, prompt=prompt, **agent)
    version = AgentVersion.of_spec(SympoziumInstance.model_validate(body), number)
    revision = version.revision(SympoziumInstance.model_validate(body))
    revision["metadata"]["namespace"] = namespace
    kubernetes.put(revision)
    annotations = {
        names.ANNOTATION_PUBLISHED_VERSION: names.agent_version(name, number),
        names.ANNOTATION_PUBLISHED_DIGEST: version.digest,
    }
    kubernetes.put({"kind": "SympoziumInstance", "metadata": body["metadata"] | {"annotations": annotations}})
    return agent_id


def draft(
    kubernetes: FakeKubernetes, name: str = "bot", *, namespace: str = NAMESPACE, prompt: str = "Be kind.", **agent: Any
) -> dict[str, Any]:
    """Make an agent, or change what is edited of it."""
    agent_id = str(uuid.uuid5(uuid.NAMESPACE_OID, f"{namespace}/{name}"))
    return kubernetes.put(
        {
            "apiVersion": names.API_VERSION,
            "kind": "SympoziumInstance",
            "metadata": {"name": name, "namespace": namespace, "labels": {names.LABEL_ID: agent_id}},
            "spec": {
                "title": "Bot",
                "agents": {"default": {"model": "m", "providerRef": "claude"} | agent},
                "memory": {"systemPrompt": prompt},
            },
        }
    )
