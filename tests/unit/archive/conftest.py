"""Databases whose connections have all ended when a test has."""

from collections.abc import AsyncIterator

import pytest
from tests.databases import connections_ended


@pytest.fixture(autouse=True)
async def _ended_connections() -> AsyncIterator[None]:
    yield
    await connections_ended()
