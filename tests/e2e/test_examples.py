"""The API server takes what users are told to apply."""

import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.contract.documents import ROOT, yaml_documents
from tests.e2e.conftest import Namespace

EXAMPLES = sorted((ROOT / "examples").rglob("*.yaml"))


@pytest.fixture(scope="module")
def new() -> Iterator[Namespace]:
    """A namespace without objects of other tests, which may have the examples' names."""
    namespace = Namespace(f"e2e-{secrets.token_hex(3)}")
    namespace.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace.name}})
    yield namespace
    Namespace("default").delete("namespace", namespace.name, "--wait=false")


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.name)
def test_an_example_is_accepted(new: Namespace, example: Path) -> None:
    own = {body["metadata"].get("namespace", new.name) for body in yaml_documents(example)}
    for name in own:
        Namespace(name).kubectl("create", "--dry-run=server", "--validate=strict", "-f", str(example))
