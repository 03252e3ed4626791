"""Tools and ToolBindings as tests write them."""

from typing import Any

from sympozium_api import names
from sympozium_api.resources import Object
from sympozium_api.tool import Tool
from sympozium_api.tool_binding import ToolBinding

URL = "https://weather.example.com/v1/query"
HOST = "weather.example.com"


def tool_manifest(name: str = "weather", *, created: str = "2026-01-01T00:00:00Z", **spec: Any) -> Object:
    webhook = {} if {"webhook", "builtin", "command", "signed"} & set(spec) else {"webhook": {"url": URL}}
    return {
        "apiVersion": names.API_VERSION,
        "kind": "Tool",
        "metadata": {"name": name, "namespace": "default", "creationTimestamp": created},
        "spec": {"title": "Weather"} | webhook | spec,
    }


def binding_manifest(name: str = "demo-weather", **spec: Any) -> Object:
    return {
        "apiVersion": names.API_VERSION,
        "kind": "ToolBinding",
        "metadata": {"name": name, "namespace": "default", "creationTimestamp": "2026-01-01T00:00:00Z"},
        "spec": {"agentRef": "demo", "toolRef": "weather", "allowedDomains": [HOST]} | spec,
    }


def tool(name: str = "weather", **spec: Any) -> Tool:
    return Tool.model_validate(tool_manifest(name, **spec))


def binding(name: str = "demo-weather", **spec: Any) -> ToolBinding:
    return ToolBinding.model_validate(binding_manifest(name, **spec))
