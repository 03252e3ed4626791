"""Objects as YAML, read and written as kubectl does. Pure, and slow for large texts: call it in a thread.

Only what JSON has is read. Aliases are refused, because a few of them stand for gigabytes.
"""

import math
from typing import Any

import yaml

_DEEPEST = 100
"""Levels of nesting: libyaml's reader is recursive, and no object of Kubernetes has as many."""
MOST_VALUES = 20_000
"""Values of a document. Each takes 0.5 KB and 20 µs to read: a megabyte of empty lists would be 250 MB, and seven seconds."""
_STRING = "tag:yaml.org,2002:str"


class InvalidYaml(ValueError):
    """A text that is not one YAML document of JSON's types; the message says where."""


class _Loader(yaml.CSafeLoader):
    """Reader of JSON's types: a date is a text, as it is for Kubernetes."""

    yaml_implicit_resolvers = {
        first: [
            (tag, pattern) for tag, pattern in resolvers if tag.rpartition(":")[2] in ("null", "bool", "int", "float")
        ]
        for first, resolvers in yaml.CSafeLoader.yaml_implicit_resolvers.items()
    }


def _mapping(loader: _Loader, node: yaml.MappingNode) -> dict[str, Any]:
    body: dict[str, Any] = {}
    for key_node, value_node in node.value:
        key = loader.construct_object(key_node, deep=True)
        if not isinstance(key, str):
            raise InvalidYaml(f"line {key_node.start_mark.line + 1}: a key is not a text")
        if key in body:
            raise InvalidYaml(f"line {key_node.start_mark.line + 1}: the key {key!r} is there twice")
        body[key] = loader.construct_object(value_node, deep=True)
    return body


def _refused(_: _Loader, node: yaml.Node) -> Any:
    raise InvalidYaml(f"line {node.start_mark.line + 1}: the tag {node.tag} has no meaning in JSON")


_Loader.yaml_constructors = {
    tag: construct
    for tag, construct in yaml.CSafeLoader.yaml_constructors.items()
    if tag and tag.rpartition(":")[2] in ("null", "bool", "int", "float", "str", "seq")
}
_Loader.add_constructor("tag:yaml.org,2002:map", _mapping)
_Loader.add_constructor(None, _refused)  # None: every other tag


class _Dumper(yaml.CSafeDumper):
    """Writer of objects: texts of several lines as blocks."""


def _text(dumper: _Dumper, text: str) -> yaml.Node:
    """Return the node of a text. Half a surrogate pair, which JSON may hold, is a question mark in YAML."""
    text = text.encode(errors="replace").decode()
    return dumper.represent_scalar(_STRING, text, style="|" if "\n" in text else None)


_Dumper.add_representer(str, _text)


def load(content: bytes) -> Any:
    """Return the value of a document. Raises InvalidYaml."""
    try:
        text = content.decode()
        _check_structure(text)
        value = yaml.load(text, Loader=_Loader)  # noqa: S506 - it makes values of JSON's types only
    except UnicodeDecodeError as error:
        raise InvalidYaml("it is not UTF-8") from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"line {mark.line + 1}: " if mark else ""
        raise InvalidYaml(f"{where}{getattr(error, 'problem', None) or 'it cannot be read'}") from error
    except InvalidYaml:
        raise
    except ValueError as error:
        raise InvalidYaml("a number cannot be read") from error
    _refuse_no_numbers(value)
    return value


def _check_structure(text: str) -> None:
    """Raise InvalidYaml for aliases, too deep nesting, too many values, and another number of documents than one."""
    depth = documents = values = 0
    for event in yaml.parse(text, Loader=yaml.CSafeLoader):
        where = f"line {event.start_mark.line + 1}: " if event.start_mark else ""
        if isinstance(event, yaml.AliasEvent):
            raise InvalidYaml(f"{where}aliases are not read")
        values += isinstance(event, yaml.NodeEvent)
        if values > MOST_VALUES:
            raise InvalidYaml(f"{where}it has more than {MOST_VALUES} keys and values; send it as JSON")
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > _DEEPEST:
                raise InvalidYaml(f"{where}it is nested more than {_DEEPEST} levels deep")
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        elif isinstance(event, yaml.DocumentStartEvent):
            documents += 1
    if documents != 1:
        raise InvalidYaml(f"it has {documents} documents instead of one")


def _refuse_no_numbers(value: Any) -> None:
    if isinstance(value, float) and not math.isfinite(value):
        raise InvalidYaml(f"{value} is not a number in JSON")
    for item in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        _refuse_no_numbers(item)


def is_small(value: Any) -> bool:
    """Return True if a value has at most ``MOST_VALUES`` keys and values, so that it can be written as a document."""
    left, number = [value], 0
    while left and number <= MOST_VALUES:
        item = left.pop()
        number += 1 + (len(item) if isinstance(item, dict) else 0)
        left += item.values() if isinstance(item, dict) else item if isinstance(item, list) else ()
    return number <= MOST_VALUES


def dump(value: Any) -> bytes:
    """Return a value of JSON's types as a document."""
    text: str = yaml.dump(value, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=120)
    return text.encode()
