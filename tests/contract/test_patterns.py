"""Patterns of the CRDs and of the chart mean the same to every engine: Go's of the API server and Helm, Rust's of our models."""

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, TypeAdapter, ValidationError
from tests.contract.crd_schema import matches_in_go, pattern_of
from tests.contract.documents import ROOT
from tests.strategies.crd_schemas import TRAPS

from sympozium_api.generate.crds import KINDS, definition

_VALID = (
    *(
        "https://chat.example.com",
        "http://127.0.0.1:8080/v1",
        "https://issuer.example.com/tenant",
        "https://i/keys?a=b",
    ),
    *(
        "chat.example.com",
        "127.0.0.1:8080",
        "1h30m",
        "0123456789abcdef" * 4,
        "90s",
        "0s",
        "",
        "openai",
        "x-request-id",
        "scope:read",
        "registry.io/a",
    ),
    *(
        "8Mi",
        "0.5",
        "100m",
        "v1.2.3",
        "example.com/key",
        "ghcr.io:443/a/b",
        f"sha256:{'0' * 64}",
        "Value_1",
        "10/minute",
        "10.0.0.0/8",
    ),
)
"""Texts of which each pattern matches at least one."""
_DIFFERING = r"\\[sSdDwWbBpPAzZ]|\(\?|\[:"
"""Classes, anchors and flags that engines read differently, in ASCII or in Unicode."""


def _patterns(schema: Any) -> Iterator[str]:
    if isinstance(schema, dict):
        if isinstance(pattern := pattern_of(schema), str):
            yield pattern
        for part in schema.values():
            yield from _patterns(part)
    elif isinstance(schema, list):
        for part in schema:
            yield from _patterns(part)


def _all_patterns() -> list[str]:
    charts = [json.loads(file.read_text()) for file in sorted(ROOT.glob("charts/*/values.schema.json"))]
    return sorted({*_patterns([definition(kind) for kind in KINDS]), *_patterns(charts)})


def _probes() -> list[str]:
    trapped = (
        text[:at] + trap + text[at:] for text in _VALID for at in {0, 1, len(text) // 2, len(text)} for trap in TRAPS
    )
    return sorted({*_VALID, *trapped, *(text.upper() for text in _VALID)})


def test_no_pattern_has_a_class_that_engines_read_differently() -> None:
    assert [pattern for pattern in _all_patterns() if re.search(_DIFFERING, pattern)] == []


def test_both_engines_find_each_pattern_in_the_same_texts() -> None:
    patterns, probes = _all_patterns(), _probes()
    asked = json.dumps({"patterns": patterns, "texts": probes})
    program = Path(__file__).with_name("matches.go")
    go = subprocess.run(["go", "run", program], input=asked, text=True, check=True, capture_output=True)
    for pattern, found in zip(patterns, json.loads(go.stdout), strict=True):
        in_go = {probes[at] for at in found}
        assert in_go & set(_VALID), f"no probe matches {pattern}"
        model = TypeAdapter(Annotated[str, Field(pattern=pattern)])
        assert in_go == {text for text in probes if _is_valid(model, text)}, pattern
        assert in_go == {text for text in probes if matches_in_go(pattern, text)}, f"the tests' reading of {pattern}"


def _is_valid(model: TypeAdapter[str], text: str) -> bool:
    try:
        model.validate_python(text)
    except ValidationError:
        return False
    return True
