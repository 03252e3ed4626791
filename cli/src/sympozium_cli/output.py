"""Results on standard output, in kubectl's formats. Nothing of an object acts on the terminal, whatever it holds."""

import json
import re
import sys
from collections.abc import Callable, Iterable, Sequence
from enum import StrEnum
from typing import Any

from sympozium_api.resources import Object, ResourceType
from sympozium_cli.plain_text import plain

_UNSAFE = re.compile("[\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
"""Characters that JSON may hold as they are, and on which a terminal acts."""
_GAP = "   "


class Format(StrEnum):
    """A form of results, as kubectl's ``-o`` names it."""

    TABLE = "table"
    WIDE = "wide"
    JSON = "json"
    YAML = "yaml"
    NAME = "name"

    @property
    def is_table(self) -> bool:
        """True if rows are shown instead of objects."""
        return self in (Format.TABLE, Format.WIDE)


def print_line(text: str = "") -> None:
    """Print a line, at once: a reader at the other end of a pipe follows."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


class Table:
    """Rows under titles. The widths are those of the first rows; a longer value later moves its own line only."""

    def __init__(self, titles: Sequence[str]) -> None:
        self._titles = titles
        self._widths: list[int] = []

    def print(self, rows: Iterable[Sequence[Any]]) -> None:
        """Print rows, the titles first if they are the first ones."""
        lines = [[plain("" if value is None else value) for value in row] for row in rows]
        if not self._widths:
            lines.insert(0, list(self._titles))
            self._widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        text = "".join(f"{self._line(line)}\n" for line in lines)
        sys.stdout.write(text)
        sys.stdout.flush()

    def _line(self, values: Sequence[str]) -> str:
        return _GAP.join(value.ljust(width) for value, width in zip(values, self._widths, strict=True)).rstrip()


def json_text(value: Any, *, indent: int | None = 4) -> str:
    """Return JSON on which no terminal acts, and which is the same value. Without ``indent`` it is one line."""
    text = json.dumps(value, indent=indent, ensure_ascii=False)
    return _UNSAFE.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def yaml_text(value: Any) -> str:
    """Return YAML on which no terminal acts."""
    import yaml

    dumper = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
    text: str = yaml.dump(value, Dumper=dumper, sort_keys=False, allow_unicode=True, width=120)
    if not _UNSAFE.search(text):
        return text
    ascii_text: str = yaml.dump(value, Dumper=dumper, sort_keys=False, width=120)
    return ascii_text


def print_value(value: Any, form: Format) -> None:
    """Print a value as JSON or YAML."""
    print_line(json_text(value) if form is Format.JSON else yaml_text(value).removesuffix("\n"))


def shown(body: Object) -> Object:
    """Return an object as kubectl prints it: without ``managedFields``."""
    metadata = {key: value for key, value in body["metadata"].items() if key != "managedFields"}
    return {"apiVersion": body.get("apiVersion"), "kind": body.get("kind"), "metadata": metadata} | {
        key: value for key, value in body.items() if key not in ("apiVersion", "kind", "metadata")
    }


def resource_name(kind: ResourceType, body: Object) -> str:
    """Return an object as ``kubectl get -o name`` prints it."""
    return plain(f"{kind.kind.lower()}.{kind.group}/{body['metadata']['name']}")


def print_object(kind: ResourceType, body: Object, form: Format, done: str = "") -> None:
    """Print an object that was written; in the form of a table a line that says what was ``done``."""
    if form.is_table:
        print_line(f"{resource_name(kind, body)} {done}".strip())
    elif form is Format.NAME:
        print_line(resource_name(kind, body))
    else:
        print_value(shown(body), form)


def print_list(kind: ResourceType, items: Sequence[Object], form: Format) -> None:
    """Print objects as names, or as kubectl's List."""
    if form is Format.NAME:
        sys.stdout.write("".join(f"{resource_name(kind, item)}\n" for item in items))
        sys.stdout.flush()
        return
    print_value({"apiVersion": "v1", "kind": "List", "metadata": {}, "items": list(map(shown, items))}, form)


Column = tuple[str, Callable[[Object], Any]]
"""A title and what an object has under it."""
