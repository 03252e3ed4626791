"""A world with Providers, whose guard says what a test lets it say."""

import base64
import json
from typing import Any

from tests.unit.api.test_providers import provider_manifest
from tests.unit.operator.objects import NAMESPACE, instance_object
from tests.unit.operator.operator_world import Object, World, operator_settings

from sympozium_api import agent_document, names
from sympozium_api.resolved_model import ResolvedModel
from sympozium_api.resources import CONFIG_MAPS, PROVIDERS
from sympozium_operator.cluster.egress_guard import Verification
from sympozium_operator.result import Key
from sympozium_operator.scheduling.shards import Shards
from sympozium_operator.wiring import wire

KEY = Key("provider", NAMESPACE, "claude")
GUARD = "http://guard:8082"


def secret(name: str = "anthropic", entries: dict[str, str] | None = None, *, labelled: bool = True) -> Object:
    data = {key: base64.b64encode(text.encode()).decode() for key, text in (entries or {"api-key": "sk-1"}).items()}
    labels = {names.LABEL_MODEL_KEY: "true"} if labelled else {}
    metadata: Object = {"name": name, "namespace": NAMESPACE, "labels": labels}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "data": data}


def provider(name: str = "claude", **spec: Any) -> Object:
    body = provider_manifest(name, **({"secretRef": "anthropic"} | spec))
    body["metadata"]["namespace"] = NAMESPACE
    return body


def user(name: str = "alice", *, agent: Object | None = None, **spec: Any) -> Object:
    body = instance_object(name)
    body["spec"].pop("authRefs", None)
    body["spec"]["agents"]["default"] = {"model": "claude-x", "providerRef": "claude"} | (agent or {})
    body["spec"] |= spec
    return body


class Tried(World):
    """A world whose guard says what a test lets it say."""

    def __init__(self, *objects: Object, **variables: str) -> None:
        self.asked: list[tuple[str, str | None]] = []
        self.verdict = Verification(valid=True, reason="Answered", error="")
        super().__init__(*objects, SYMPOZIUM_EGRESS_URL=GUARD, **variables)

    def restart(self, *, network_policies: bool = True, shards: Shards | None = None) -> None:
        super().restart(network_policies=network_policies, shards=shards)
        settings = operator_settings(SYMPOZIUM_NETWORK_POLICIES="true", **self.variables)
        self.operator = wire(
            client=self.cluster,
            clock=self.clock,
            settings=settings,
            shards=shards,
            verify=self.verify,
            sleep=self.sleep,
        )
        self.dispatcher = self.operator.dispatcher

    async def sleep(self, seconds: float) -> None:
        self.clock.advance(seconds)

    async def verify(self, _: str, name: str, model: str | None) -> Verification:
        self.asked.append((name, model))
        return self.verdict

    async def try_providers(self) -> None:
        for key in [key async for key in self.operator.trials.try_due()]:
            await self.settle(key.name, key.kind)

    def conditions(self, kind: Any = PROVIDERS, name: str = "claude") -> dict[str, tuple[str, str, str]]:
        found = self.cluster.object(kind, name, NAMESPACE)["status"]["conditions"]
        return {each["type"]: (each["status"], each["reason"], each["message"]) for each in found}

    def document(self, name: str = "alice") -> Object:
        body = self.cluster.object(CONFIG_MAPS, names.installed_skills(name), NAMESPACE)
        found: Object = json.loads(body["data"][agent_document.DOCUMENT])
        return found

    def folders(self) -> list[str | None]:
        """Folders of credentials that tasks name."""
        return [ResolvedModel.model_validate(model).folder for model in self.document()["models"]]

    async def both(self) -> None:
        await self.settle("alice", "instance")
        await self.settle("claude", "provider")


def files_of(pod: Object) -> dict[str, str]:
    """Paths of the files with API keys by Secret and entry, and of folders with headers by Secret."""
    volumes = {volume["name"]: volume for volume in pod["volumes"]}
    mounts = {mount["name"]: mount["mountPath"] for mount in pod["containers"][0]["volumeMounts"]}
    files = {
        f"{source['secret']['name']}/{item['key']}": item["path"]
        for source in volumes["providers"]["projected"]["sources"]
        for item in source["secret"]["items"]
    }
    headers = [name for name in volumes if name.startswith("provider-headers")]
    return files | {volumes[name]["secret"]["secretName"]: mounts[name] for name in headers}
