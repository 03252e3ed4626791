"""The operator's reconcilers of tools and instances, at work in front of an in-memory API server."""

import asyncio
from contextlib import suppress

from tests.fakes.kubernetes import FakeKubernetes
from tests.unit.operator.operator_world import operator_settings

from sympozium_api.client import ApiError
from sympozium_api.clock import Clock
from sympozium_api.resources import INSTANCES, TOOL_BINDINGS, TOOLS
from sympozium_operator.reconcile.tool_reconciler import ALL
from sympozium_operator.result import Key
from sympozium_operator.wiring import wire

GUARD = "http://sympozium-egress.sympozium-system.svc:8082"
_PAUSE_SECONDS = 0.02
_PLURALS = frozenset({INSTANCES.plural, TOOLS.plural, TOOL_BINDINGS.plural})


async def reconcile_tools(kubernetes: FakeKubernetes, clock: Clock) -> None:
    """Reconcile all Tools, ToolBindings and instances whenever one has changed, without end."""
    operator = wire(client=kubernetes, clock=clock, settings=operator_settings(SYMPOZIUM_EGRESS_URL=GUARD))
    seen: object = None
    while True:
        if (state := _state(kubernetes)) != seen:
            seen = state
            waiting = _keys(kubernetes)
            while waiting:
                with suppress(ApiError):  # something was deleted meanwhile
                    result = await operator.dispatcher(waiting.pop())
                    waiting += [key for key in (*result.enqueue, *result.spread) if key not in waiting]
        await asyncio.sleep(_PAUSE_SECONDS)


def _state(kubernetes: FakeKubernetes) -> object:
    return [
        (key, body["metadata"]["resourceVersion"]) for key, body in kubernetes.objects.items() if key[0] in _PLURALS
    ]


def _keys(kubernetes: FakeKubernetes) -> list[Key]:
    found = [key for key in kubernetes.objects if key[0] in _PLURALS]
    instances = [Key("instance", namespace, name) for plural, namespace, name in found if plural == INSTANCES.plural]
    return [*instances, *(Key("tools", namespace, ALL) for namespace in sorted({key[1] for key in found}))]
