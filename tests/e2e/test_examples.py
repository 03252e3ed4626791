"""The API server takes what users are told to apply."""

from pathlib import Path

import pytest
from tests.contract.documents import ROOT, yaml_documents
from tests.e2e.conftest import Namespace

EXAMPLES = sorted((ROOT / "examples").glob("*.yaml"))


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.name)
def test_an_example_is_accepted(namespace: Namespace, example: Path) -> None:
    own = {body["metadata"].get("namespace", namespace.name) for body in yaml_documents(example)}
    for name in own:
        Namespace(name).kubectl("create", "--dry-run=server", "--validate=strict", "-f", str(example))
