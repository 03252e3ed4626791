"""Blocks of the guide of MCP that need another environment than ours, as they stand there."""

import re

import pytest
from tests.contract.documents import ROOT
from tests.fakes.model import TOKENS
from tests.integration.clients.conftest import CLIENTS, told
from tests.integration.conftest import KEY, Proxy

PYTHON = CLIENTS / "mcp-python-1/bin/python"
GUIDE = (ROOT / "docs/guides/mcp.md").read_text()


@pytest.mark.parametrize(
    ("package", "name"), [("mcp", "ClientSession"), ("langchain_mcp_adapters", "MultiServerMCPClient")]
)
async def test_a_block_prints_the_answer(served: Proxy, package: str, name: str) -> None:
    if not list(PYTHON.parents[1].glob(f"lib/python*/site-packages/{package}")):
        pytest.skip("local/clients.sh has not run")
    blocks = re.findall(r"```python\n(.*?)```", GUIDE, re.DOTALL)
    [block] = [block for block in blocks if f"import {name}\n" in block]
    block = block.replace("http://127.0.0.1:8080", served.url)
    assert "".join(TOKENS) in await told(served, PYTHON, "-c", block, variables={"KEY": KEY})
