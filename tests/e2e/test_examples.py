"""The API server takes what users are told to apply."""

from pathlib import Path

import pytest
from tests.contract.documents import ROOT
from tests.e2e.conftest import Namespace

EXAMPLES = sorted((ROOT / "examples").glob("*.yaml"))


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.name)
def test_an_example_is_accepted(namespace: Namespace, example: Path) -> None:
    namespace.kubectl("create", "--dry-run=server", "--validate=strict", "-f", str(example))
