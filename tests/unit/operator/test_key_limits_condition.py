"""The condition KeyLimitsValid: what is wrong with the limits beside the API keys, and what would be right."""

import base64
import contextlib
import time

import pytest
from tests.unit.operator.objects import NAMESPACE, WEB_ENDPOINT, instance_object, pack_object, secret_object
from tests.unit.operator.operator_world import World

from sympozium_api import key_limits
from sympozium_api.resources import DEPLOYMENTS, SECRETS
from sympozium_operator.policy import key_limits_condition

RUN = "alice-web-endpoint"
KEYS = f"{RUN}-web-api-key"


def encoded(**entries: str) -> dict[str, str]:
    """A Secret's data; ``__`` stands for ``.`` and ``_`` for ``-`` in the names."""
    named = {name.replace("__", ".").replace("_", "-"): text for name, text in entries.items()}
    return {name: base64.b64encode(text.encode()).decode() for name, text in named.items()}


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        (
            {"limits__api_key_bob": "requestsPerMinute: fast"},
            "limits.api-key-bob is not valid: requestsPerMinute must be a whole number from 1 to 1000000",
        ),
        (
            {"limits__api_key_bob": "rpm: 5"},
            "rpm is unknown; the fields are name, requestsPerMinute, burstSize, readsPerMinute, tokensPerDay",
        ),
        ({"limits__api_key_bob": "fast"}, "write one 'field: value' per line, such as requestsPerMinute: 600"),
        ({"limits__api_key_bob": "tokensPerDay: 0"}, "tokensPerDay must be a whole number from 1 to"),
        ({"limits__bob": "burstSize: 5"}, "limits.bob belongs to no key: there is no entry bob"),
    ],
)
def test_a_wrong_entry_is_named_with_what_would_be_right(entries: dict[str, str], message: str) -> None:
    secret = secret_object("ring") | {"data": encoded(api_key_bob="sk-bob", **entries)}
    condition = key_limits_condition.state(secret)
    assert condition is not None
    assert (condition.ok, condition.reason) == (False, "InvalidLimits")
    assert message in condition.message
    assert condition.message.startswith("the Secret ring: the entry limits.")
    assert condition.message.endswith(("key makes no runs.", "keys make no runs.", "there is no entry bob."))


@pytest.mark.parametrize(
    "text",
    [
        "requestsPerMinute: 600\nname: Alice L.\n",
        "{requestsPerMinute: 600, name: 'Alice L.'}",
        '{"requestsPerMinute": 600, "name": "Alice L."}',
        "# of the house\nrequestsPerMinute: 600 # per minute\nname: Alice L.",
    ],
)
def test_limits_are_yaml_or_json_of_one_level(text: str) -> None:
    limits = key_limits.parse(text)
    assert (limits.requests_per_minute, limits.name, limits.tokens_per_day) == (600, "Alice L.", None)


@pytest.mark.parametrize(
    "text",
    [
        f'name:{" " * 4000}"',
        f"name:x{' ' * 4000}'",
        f'{" " * 4000}name{" " * 4000}"',
        f"{' #' * 2000}",
        f"{'a' * 1_000_000}: 1",
        "name: a\n" * 100_000,
    ],
)
def test_no_text_holds_up_the_operator(text: str) -> None:
    began = time.process_time()
    with contextlib.suppress(key_limits.InvalidLimits):
        key_limits.parse(text)
    assert time.process_time() - began < 0.1


def test_a_field_that_is_there_twice_is_refused() -> None:
    with pytest.raises(key_limits.InvalidLimits, match="tokensPerDay is there twice"):
        key_limits.parse("tokensPerDay: 5\ntokensPerDay: 500000")


async def test_an_instance_reports_wrong_limits_and_serves() -> None:
    world = World(instance_object(**WEB_ENDPOINT), pack_object())
    await world.settle("alice", "instance")
    deployment = world.cluster.object(DEPLOYMENTS, f"{RUN}-server", NAMESPACE)
    counts = dict.fromkeys(("replicas", "updatedReplicas", "availableReplicas"), deployment["spec"]["replicas"])
    status = {"observedGeneration": 99, "conditions": [{"type": "Available", "status": "True"}]}
    world.cluster.put(deployment | {"status": counts | status})

    async def conditions(**entries: str) -> dict[str, str]:
        keys = world.cluster.object(SECRETS, KEYS, NAMESPACE)
        world.cluster.put(keys | {"data": encoded(api_key="sk-one", **entries)})
        await world.reconcile(RUN)
        await world.reconcile("alice", "instance")
        return {condition["type"]: condition["status"] for condition in world.instance_status()["conditions"]}

    assert "KeyLimitsValid" not in await conditions()
    wrong = await conditions(limits__api_key="fast")
    assert (wrong["KeyLimitsValid"], wrong["Ready"]) == ("False", "True")
    assert (await conditions(limits__api_key="burstSize: 5"))["KeyLimitsValid"] == "True"
    await world.cluster.patch(SECRETS, NAMESPACE, KEYS, {"data": {"limits.api-key": None}})
    assert "KeyLimitsValid" not in await conditions()
