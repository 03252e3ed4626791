"""The Job and the pod of a run in the API server in memory."""

from tests.fakes.kubernetes import FakeKubernetes
from tests.fakes.open_watches import WatchResponse

from sympozium_api import names
from sympozium_api.resources import Object


def with_log(kubernetes: FakeKubernetes, run: Object, log: str | WatchResponse, *, job: str | None = None) -> str:
    """Put a run with its Job, its pod and the pod's log; return the pod's name. ``job``: that of an idle pod that runs it."""
    stored = kubernetes.put(run)
    name, namespace = stored["metadata"]["name"], stored["metadata"]["namespace"]
    job = job or names.job(name, stored["metadata"]["uid"])
    pod = f"{job}-abcde"
    owned = kubernetes.put(child("Job", job, namespace, owner=stored))
    kubernetes.put(child("Pod", pod, namespace, owner=owned))
    kubernetes.put(stored | {"status": {"podName": pod} | stored.get("status", {})})
    kubernetes.logs[pod] = log
    return pod


def child(kind: str, name: str, namespace: str, *, owner: Object) -> Object:
    """An object with a controller owner."""
    reference = {"kind": owner["kind"], "name": owner["metadata"]["name"], "uid": owner["metadata"]["uid"]}
    metadata = {"name": name, "namespace": namespace, "ownerReferences": [reference | {"controller": True}]}
    return {"kind": kind, "metadata": metadata}
