"""Objects as YAML that people read and edit. Pure."""

import copy
import difflib
from typing import Any

import yaml

from sympozium_api.names import API_VERSION
from sympozium_api.resources import Object
from sympozium_cli.plain_text import plain_lines
from sympozium_cli.tui.views.columns import Tone
from sympozium_cli.tui.views.lines import Line

_SERVERS = ("managedFields", "uid", "resourceVersion", "generation", "creationTimestamp", "selfLink")
"""Metadata that the API server keeps."""
NEW_INSTANCE = """\
# A new agent. docs/reference/kinds/sympoziuminstance.md has all fields.
apiVersion: {api_version}
kind: SympoziumInstance
metadata:
  name: assistant
  namespace: {namespace}
spec:
  agents:
    default:
      model: gpt-5-mini
      # baseURL: http://vllm.models.svc:8000/v1
  authRefs:
    - provider: openai
      secret: openai # its entry OPENAI_API_KEY or api-key holds the key
  webEndpoint:
    enabled: true
"""


class NotAnObject(ValueError):
    """A text that is not the YAML of an object; the message says where."""


class _Dumper(yaml.SafeDumper):
    """Writes texts of several lines as blocks."""


def _text(dumper: yaml.SafeDumper, text: str) -> Any:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Dumper.add_representer(str, _text)


def dumped(body: Object) -> str:
    """Return an object as YAML, without ``managedFields``."""
    shown = {**body, "metadata": {k: v for k, v in body["metadata"].items() if k != "managedFields"}}
    order = ("apiVersion", "kind", "metadata", "spec", "status")
    ordered = {name: shown[name] for name in (*order, *sorted(shown.keys() - set(order))) if name in shown}
    text: str = yaml.dump(ordered, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=100)
    return text


def editable(body: Object) -> str:
    """Return the part of an object that people write, as YAML."""
    metadata = {name: value for name, value in body["metadata"].items() if name not in _SERVERS}
    return dumped({k: v for k, v in body.items() if k != "status"} | {"metadata": metadata})


def parsed(text: str) -> Object:
    """Return the object of a YAML text. Raises NotAnObject."""
    try:
        body = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise NotAnObject(f"this is not YAML: {error}") from None
    if not isinstance(body, dict) or not isinstance(body.get("metadata"), dict):
        raise NotAnObject("this is not an object: it has no metadata")
    return body


def edited(read: Object, text: str) -> Object:
    """Return an object with what a text changes. Raises NotAnObject, also for another name."""
    body, before = parsed(text), read["metadata"]
    for name in ("name", "namespace"):
        if body["metadata"].get(name) != before.get(name):
            raise NotAnObject(f"metadata.{name} cannot be edited: make a new object instead")
    kept = {name: before[name] for name in _SERVERS if name in before and name != "managedFields"}
    changed = {**copy.deepcopy(body), "metadata": body["metadata"] | kept}
    return changed | ({"status": read["status"]} if "status" in read else {})


def differences(before: str, after: str) -> list[Line]:
    """Return the differences of two texts as lines with ``+`` and ``-``."""
    tones: dict[str, Tone] = {"+": "good", "-": "bad", "@": "dim"}
    lines = difflib.unified_diff(before.splitlines(), after.splitlines(), "as it is", "as edited", n=2, lineterm="")
    return [Line(piece, tones.get(line[:1], "")) for line in lines for piece in plain_lines(line)]


def new_instance(namespace: str) -> str:
    """Return the text with which a new instance begins."""
    return NEW_INSTANCE.format(api_version=API_VERSION, namespace=namespace)
