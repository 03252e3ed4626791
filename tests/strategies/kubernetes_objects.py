"""Strategies of whole Kubernetes objects as the API server may store them, whoever wrote them.

Custom resources are what the CRDs accept (``crd_schemas``). Objects of Kubernetes' own kinds have the types that the API server
enforces; labels, annotations, owner references, data and termination messages are whatever a tenant may choose. Every strategy
takes the objects' ``namespace`` and ``name``; without a name, names vary. ``uid`` and ``creationTimestamp`` are valid, because the
API server sets them.
"""

import base64
import json
from collections.abc import Callable

from hypothesis import strategies as st
from tests.strategies.crd_schemas import CHARACTERS, Strategy, json_values, part

from sympozium_api import names
from sympozium_api.resources import (
    CONFIG_MAPS,
    CONFIGS,
    EVENTS,
    HTTP_ROUTES,
    INSTANCES,
    JOBS,
    PODS,
    RUNS,
    SECRETS,
    SKILL_PACKS,
    Object,
    ResourceType,
)

Make = Callable[..., Strategy]
"""A function of this module that takes ``namespace`` and ``name``."""

NAMESPACE = "team"
CREATED = "2026-01-01T00:00:00Z"

dns_names: Strategy = st.from_regex(r"\A[a-z]([-a-z0-9]{0,10}[a-z0-9])?\Z") | st.sampled_from(
    ["alice", "q1", "alice-web-endpoint", "alice-web-endpoint-server", "alice-warm-0123abcd-012345", "x" * 40]
)
"""Names of objects that every kind of ours accepts."""
label_values: Strategy = dns_names | st.from_regex(r"\A([A-Za-z0-9]([-A-Za-z0-9_.]{0,20}[A-Za-z0-9])?)?\Z")
texts: Strategy = st.text(CHARACTERS, max_size=20)

_OUR_LABELS = {
    "app.kubernetes.io/managed-by": st.just(names.FIELD_MANAGER) | label_values,
    "app.kubernetes.io/component": st.just("agent") | label_values,
    names.LABEL_INSTANCE: label_values,
    names.LABEL_RUN: label_values,
    names.LABEL_WARM: st.sampled_from([names.IDLE, names.CLAIMED]) | label_values,
    names.LABEL_KEY: label_values,
    names.LABEL_SOURCE: label_values,
}
_OUR_ANNOTATIONS = (
    *(names.ANNOTATION_REPLY_TO, names.ANNOTATION_ACCEPTED_AT, names.ANNOTATION_REQUEST_HASH, names.ANNOTATION_KEY_ID),
    *(names.ANNOTATION_REQUEST_ID, names.ANNOTATION_TRACEPARENT, names.ANNOTATION_FORWARDS, names.ANNOTATION_DISCARDED),
)

labels: Strategy = st.fixed_dictionaries({}, optional=_OUR_LABELS)
annotations: Strategy = st.fixed_dictionaries({}, optional=dict.fromkeys(_OUR_ANNOTATIONS, texts))
_owner: Strategy = st.fixed_dictionaries(
    {
        "apiVersion": st.sampled_from([names.API_VERSION, "batch/v1", "v1", "example.com/v1"]),
        "kind": st.sampled_from(["SympoziumInstance", "AgentRun", "Job", "Widget"]),
        "name": dns_names,
        "uid": dns_names.map("uid-of-{}".format) | st.text("abc-0", min_size=1, max_size=8),
    },
    optional={"controller": st.booleans(), "blockOwnerDeletion": st.booleans()},
)
owner_references: Strategy = st.lists(_owner, max_size=3, unique_by=lambda owner: owner["uid"]).filter(
    lambda owners: sum(owner.get("controller", False) for owner in owners) <= 1
)


def metadata(namespace: str = NAMESPACE, name: str | None = None) -> Strategy:
    """Return ``metadata`` of objects; a uid follows from the name, so that owner references find their object."""
    return st.fixed_dictionaries(
        {"name": dns_names if name is None else st.just(name)},
        optional={"labels": labels, "annotations": annotations, "ownerReferences": owner_references},
    ).map(
        lambda value: (
            {"namespace": namespace, "uid": f"uid-of-{value['name']}", "generation": 1, "creationTimestamp": CREATED}
            | value
        )
    )


def _objects(kind: ResourceType, namespace: str, name: str | None, **parts: Strategy) -> Strategy:
    fixed = {"apiVersion": st.just(kind.api_version), "kind": st.just(kind.kind), "metadata": metadata(namespace, name)}
    return st.fixed_dictionaries(fixed | parts)


def _custom(kind: ResourceType, namespace: str, name: str | None) -> Strategy:
    parts = {"spec": part(kind.plural, "spec"), "status": part(kind.plural, "status")}
    return _objects(kind, namespace, name, **parts)


def instances(namespace: str = NAMESPACE, name: str | None = None) -> Strategy:
    """Return SympoziumInstances that the API server accepts."""
    return _custom(INSTANCES, namespace, name)


def runs(namespace: str = NAMESPACE, name: str | None = None) -> Strategy:
    """Return AgentRuns that the API server accepts, in any phase."""
    return _custom(RUNS, namespace, name)


def skill_packs(namespace: str = NAMESPACE, name: str | None = None) -> Strategy:
    """Return SkillPacks that the API server accepts."""
    return _custom(SKILL_PACKS, namespace, name)


def configs(namespace: str = NAMESPACE, name: str | None = None) -> Strategy:
    """Return SympoziumConfigs that the API server accepts."""
    return _custom(CONFIGS, namespace, name)


# What agents write.

_REASONABLE_CHOICE = {"index": 0, "message": {"role": "assistant", "content": "Hi"}, "finish_reason": "stop"}

end_records: Strategy = st.fixed_dictionaries(
    {"type": st.sampled_from(["done", "error"])},
    optional={
        "choices": json_values | st.lists(json_values | st.just(_REASONABLE_CHOICE), max_size=3),
        "usage": json_values,
        "about": json_values,
        "durationMs": json_values | st.integers(),
        "error": json_values
        | st.fixed_dictionaries({}, optional={"type": json_values, "message": json_values, "httpStatus": json_values}),
    },
) | st.builds(
    lambda message, reason: {"type": "done", "choices": [{"message": message, "finish_reason": reason}]},
    json_values | st.fixed_dictionaries({"content": json_values}),
    json_values,
)
"""End records of any shape: the type is right, everything else is what a pod may send."""

termination_messages: Strategy = (
    st.text(CHARACTERS, max_size=200)
    | json_values.map(json.dumps)
    | end_records.map(json.dumps)
    | st.sampled_from(["", "{", "null", "[" * 2000, '{"type":"unused"}', '{"type":[]}', "9" * 4096, "NaN"])
)
"""Contents of the file of 4 KiB that a container may leave."""


# Kubernetes' own kinds.

_counts: Strategy = st.integers(0, 3)
_job_condition: Strategy = st.fixed_dictionaries(
    {
        "type": st.sampled_from(["Complete", "Failed", "FailureTarget", "SuccessCriteriaMet", "Suspended", "x"]),
        "status": st.sampled_from(["True", "False", "Unknown"]),
    },
    optional={"reason": st.sampled_from(["DeadlineExceeded", "BackoffLimitExceeded", ""]), "message": texts},
)
_terminated: Strategy = st.fixed_dictionaries(
    {"exitCode": st.integers(-(2**31), 2**31 - 1)},
    optional={
        "reason": st.sampled_from(["OOMKilled", "Error", "Completed"]),
        "message": termination_messages,
        "startedAt": st.sampled_from([CREATED, None]),
        "finishedAt": st.sampled_from([CREATED, None]),
    },
)
_waiting: Strategy = st.fixed_dictionaries(
    {}, optional={"reason": st.sampled_from(["ErrImagePull", "CreateContainerError", "x"]), "message": texts}
)
_state: Strategy = st.one_of(
    st.just({}),
    _terminated.map(lambda value: {"terminated": value}),
    _waiting.map(lambda value: {"waiting": value}),
    st.just({"running": {"startedAt": CREATED}}),
)
_container_status: Strategy = st.fixed_dictionaries(
    {"name": dns_names, "ready": st.booleans(), "restartCount": _counts},
    optional={"state": _state, "lastState": _state},
)
_pod_condition: Strategy = st.fixed_dictionaries(
    {
        "type": st.sampled_from(["PodScheduled", "Ready", "DisruptionTarget", "x"]),
        "status": st.sampled_from(["True", "False", "Unknown"]),
    },
    optional={"reason": st.sampled_from(["Unschedulable", "x", ""]), "message": texts},
)
_amounts: Strategy = st.dictionaries(
    st.sampled_from(["cpu", "memory", "example.com/gpu"]),
    st.sampled_from(["1", "100m", "1e3", "64Mi", "0", "-1", "1E6"]),
)


def jobs(namespace: str = NAMESPACE, name: str | None = None) -> Strategy:
    """Return Jobs that anybody may have made, in any state."""
    status = st.fixed_dictionaries(
        {},
        optional={
            **dict.fromkeys(("active", "succeeded", "failed", "ready"), _counts),
            "conditions": st.lists(_job_condition, max_size=3),
        },
    )
    return _objects(JOBS, namespace, name, spec=st.just({"template": {"spec": {"containers": []}}}), status=status)


def pods(namespace: str = NAMESPACE, name: str | None = None) -> Strategy:
    """Return pods that anybody may have made, in any state."""
    container = st.fixed_dictionaries(
        {"name": dns_names}, optional={"resources": st.fixed_dictionaries({"requests": _amounts})}
    )
    spec = st.fixed_dictionaries({"containers": st.lists(container, min_size=1, max_size=2)})
    status = st.fixed_dictionaries(
        {"phase": st.sampled_from(["Pending", "Running", "Succeeded", "Failed", "Unknown"])},
        optional={
            "conditions": st.lists(_pod_condition, max_size=3),
            "containerStatuses": st.lists(_container_status, max_size=2),
            "reason": texts,
            "message": texts,
        },
    )
    return _objects(PODS, namespace, name, spec=spec, status=status)


_data_keys: Strategy = st.sampled_from(["api-key", "api-key-2", "OPENAI_API_KEY", "skill.md", "a.b_c-D"])


def secrets(namespace: str = NAMESPACE, name: str | None = None) -> Strategy:
    """Return Secrets with any bytes in them."""
    content = st.binary(max_size=20).map(lambda value: base64.b64encode(value).decode())
    return _objects(SECRETS, namespace, name, data=st.dictionaries(_data_keys, content, max_size=3))


def config_maps(namespace: str = NAMESPACE, name: str | None = None) -> Strategy:
    """Return ConfigMaps with any text in them."""
    front_matter = texts.map(lambda text: f"---\n{text}\n---\n{text}")
    data = st.dictionaries(_data_keys, texts | front_matter | json_values.map(json.dumps), max_size=3)
    return _objects(CONFIG_MAPS, namespace, name, data=data)


def http_routes(namespace: str = NAMESPACE, name: str | None = None) -> Strategy:
    """Return HTTPRoutes that anybody may have made."""
    parent = st.fixed_dictionaries({"name": dns_names}, optional={"namespace": dns_names, "sectionName": dns_names})
    spec = st.fixed_dictionaries(
        {}, optional={"parentRefs": st.lists(parent, max_size=2), "hostnames": st.lists(dns_names, max_size=2)}
    )
    condition = st.fixed_dictionaries(
        {
            "type": st.sampled_from(["Accepted", "ResolvedRefs", "x"]),
            "status": st.sampled_from(["True", "False", "Unknown"]),
            "reason": st.sampled_from(["Accepted", "x"]),
            "message": texts,
            "lastTransitionTime": st.just(CREATED),
        },
        optional={"observedGeneration": _counts},
    )
    reported = st.fixed_dictionaries(
        {"parentRef": parent, "controllerName": st.just("example.com/gateway")},
        optional={"conditions": st.lists(condition, max_size=2)},
    )
    status = st.fixed_dictionaries({"parents": st.lists(reported, max_size=2)})
    return _objects(HTTP_ROUTES, namespace, name, spec=spec, status=status)


def events(namespace: str = NAMESPACE, name: str | None = None, about: str = "q1") -> Strategy:
    """Return Events about the run ``about``, as any account that may write Events can make them."""
    subject = {"kind": RUNS.kind, "name": about, "namespace": namespace}
    optional = {
        "type": st.sampled_from(["Normal", "Warning"]),
        "reason": texts,
        "message": texts,
        "count": st.integers(0, 2**31 - 1),
        "firstTimestamp": st.none() | st.just(CREATED),
        "lastTimestamp": st.none() | st.just(CREATED),
        "eventTime": st.none() | st.just("2026-01-01T00:00:00.000000Z"),
        "series": st.none() | st.fixed_dictionaries({"count": st.integers(0, 9)}),
    }
    content = st.fixed_dictionaries({"involvedObject": st.just(subject)}, optional=optional)
    return st.builds(lambda body, content: body | content, _objects(EVENTS, namespace, name), content)


def anything(namespace: str = NAMESPACE) -> Strategy:
    """Return objects of every kind of this module."""
    return st.one_of(*(make(namespace) for make in _EVERY_KIND))


_EVERY_KIND: tuple[Make, ...] = (
    *(instances, runs, skill_packs, configs),
    *(jobs, pods, secrets, config_maps, http_routes, events),
)


def address(body: Object) -> tuple[str, str, str]:
    """Return kind, namespace and name of an object."""
    return body["kind"], body["metadata"]["namespace"], body["metadata"]["name"]
