"""Providers as the API server takes them, and documents with models."""

from typing import Any

import pytest
from tests.fakes.crd_admission import admitted

from sympozium_api import agent_document, names
from sympozium_api.agent_document import AgentDocument, OfferedTool
from sympozium_api.client import ApiError
from sympozium_api.resolved_model import ResolvedModel
from sympozium_api.resources import Object


def provider_manifest(name: str = "claude", **spec: Any) -> Object:
    return {
        "apiVersion": names.API_VERSION,
        "kind": "Provider",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {"type": "anthropic_native"} | spec,
    }


def admit(**spec: Any) -> Object:
    return admitted("providers", "claude", provider_manifest(**spec), None, strict=True, is_patch=False)


@pytest.mark.parametrize(
    "spec",
    [
        {},
        {"apiBase": "http://10.0.0.7:8000/v1", "type": "openai_compat"},
        {"apiBase": "http://[fd00::7]/v1", "type": "ollama"},
        {"apiBase": "https://r.openai.azure.com", "type": "azure_openai", "apiVersion": "2024-10-21"},
        {"apiBase": "https://169.254.example.com/v1"},
        {"apiBase": "https://llm.example.com/v1?tenant=a"},
    ],
)
def test_the_api_takes_a_provider(spec: dict[str, Any]) -> None:
    assert admit(**spec)["spec"]["enabled"] is True


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({"type": "bedrock"}, "spec.type"),
        ({"type": "openai_compat"}, "apiBase is required with type openai_compat, azure_openai and ollama"),
        ({"type": "azure_openai"}, "apiBase is required"),
        ({"type": "ollama"}, "apiBase is required"),
        ({"apiVersion": "2024-10-21"}, "only allowed with type azure_openai"),
        ({"apiBase": "llm.example.com/v1"}, "write a URL with http:// or https://"),
        ({"apiBase": "ftp://llm.example.com/v1"}, "write a URL with http:// or https://"),
        ({"apiBase": "https://user:pass@llm.example.com/v1"}, "without user information"),
        ({"apiBase": "https://token@llm.example.com/v1"}, "without user information"),
        ({"apiBase": "https://llm.example.com\\@evil/v1"}, "without user information"),
        ({"apiBase": "http://169.254.169.254/latest"}, "link-local"),
        ({"apiBase": "http://169.254.1.1:8000"}, "link-local"),
        ({"apiBase": "http://[fe80::1]/v1"}, "link-local"),
        ({"apiBase": "http://[FEBF::1]/v1"}, "link-local"),
        ({"apiBase": "http://[::ffff:169.254.169.254]/v1"}, "link-local"),
        ({"apiBase": "http://[0:0:0:0:0:FFFF:A9FE:A9FE]/v1"}, "link-local"),
    ],
)
def test_the_api_refuses_a_provider_with_what_would_be_right(spec: dict[str, Any], message: str) -> None:
    with pytest.raises(ApiError, match=message):
        admit(**spec)


TOOL = OfferedTool(function="weather", parameters="{}", base_url="http://guard", timeout_ms=1)
MODEL = ResolvedModel(ref="claude", name="m", title="claude:m", base_url="https://api.anthropic.com/v1")


def test_the_digest_of_a_document_shows_whether_its_tools_changed() -> None:
    tools, both = AgentDocument(tools=[TOOL]), AgentDocument(tools=[TOOL], models=[MODEL])
    models = AgentDocument(models=[MODEL])
    digests = [agent_document.digest(document) for document in (tools, both, models)]
    assert len({*digests}) == 3
    assert all(len(digest) <= 64 for digest in digests)
    assert [agent_document.tools_digest(digest) for digest in digests] == [digests[0], digests[0], None]
    assert agent_document.tools_digest(None) is None


def test_a_document_with_models_survives_its_config_map() -> None:
    document = AgentDocument(tools=[TOOL], models=[MODEL])
    body = {"data": {agent_document.DOCUMENT: agent_document.render(document)}}
    assert agent_document.of_config_map(body) == document
    assert "models" not in agent_document.render(AgentDocument(tools=[TOOL]))
