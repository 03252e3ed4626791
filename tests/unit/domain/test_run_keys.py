"""Idempotency-Keys of runs whose order the API server has no more."""

from dataclasses import replace
from typing import Any

import pytest
from tests.fakes.kubernetes import FakeKubernetes

from sympozium_api import names
from sympozium_api.client import ApiError
from sympozium_api.client.collection import Collection
from sympozium_api.resources import RUNS, Object
from sympozium_api.run import AgentRun
from sympozium_domain.agents.run_keys import RunKey
from sympozium_domain.sessions.session import Session

TIME = "2026-01-01T00:00:0{}Z"


@pytest.mark.parametrize(("other_at", "is_first"), [(0, False), (1, False), (2, True)])
async def test_of_runs_whose_order_is_forgotten_only_the_oldest_can_be_the_first(
    monkeypatch: pytest.MonkeyPatch, other_at: int, *, is_first: bool
) -> None:
    kubernetes, session = FakeKubernetes(), Session("one", "1", "platform", "s")
    key = RunKey.of(kubernetes, "default", session, scope="platform", key_id="id", key="k")
    for name, label, at in (("own", session.label, 1), ("other", replace(session, key="t").label, other_at)):
        labels = {names.LABEL_IDEMPOTENCY: key.label, names.LABEL_SESSION: label}
        metadata = {"name": name, "namespace": "default", "labels": labels, "creationTimestamp": TIME.format(at)}
        kubernetes.put({"kind": "AgentRun", "metadata": metadata, "spec": {"agentRef": "one", "task": "x"}})
    collection = kubernetes.collection

    async def forgetful(*args: Any, **options: Any) -> Collection:
        if "resourceVersionMatch" in options:
            expired: Object = {"reason": "Expired", "message": "The provided version is too old."}
            raise ApiError(410, expired)
        return await collection(*args, **options)

    monkeypatch.setattr(kubernetes, "collection", forgetful)
    own = AgentRun.model_validate(kubernetes.object(RUNS, "own", "default"))
    assert await key.is_first(own) is is_first
