"""Memory of the first process of a pod."""

from tests.e2e.conftest import Namespace


def resident_mb(namespace: Namespace, component: str) -> float:
    """Resident memory in MB of the largest pod of a component."""
    pods = namespace.list(
        "pods", "-l", f"app.kubernetes.io/component={component}", "--field-selector=status.phase=Running"
    )
    return max(_of_pod(namespace, pod["metadata"]["name"]) for pod in pods)


def _of_pod(namespace: Namespace, pod: str) -> float:
    lines = namespace.kubectl("exec", pod, "--", "cat", "/proc/1/status").splitlines()
    kilobytes = next(line.split()[1] for line in lines if line.startswith("VmRSS:"))
    return round(int(kilobytes) / 1024, 1)
