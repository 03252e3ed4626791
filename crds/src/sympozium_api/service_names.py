"""Names of Services, which a pod may write short: ``db``, ``db.payments``, ``db.payments.svc`` and with the cluster's domain. Pure.

A pod of a headless Service has a label more in front: ``db-0.db.payments.svc``.
"""

import re

_FULL = re.compile(r"(.+\.[^.]+)\.svc(\..+)?")
_DOMAIN = "cluster.local"
_ADDRESS = re.compile(r"[0-9.]+|.*:.*")


def writings(host: str, namespace: str | None) -> tuple[str, ...]:
    """Return a host in lower case as it is and, of a Service, in its other writings.

    ``namespace``: that of the pod, in which a name without a dot is looked up; None: it is not known. A name with one dot is that of a
    Service of another namespace or of a host of the internet, which only the cluster's resolver knows: it stays as it is.
    """
    if _ADDRESS.fullmatch(host):
        return (host,)
    service, dot, of_namespace = host.partition(".")
    if full := _FULL.fullmatch(host):
        service, dot, of_namespace = full[1].rpartition(".")
    elif namespace is None or (dot and of_namespace != namespace):
        return (host,)
    short = f"{service}.{of_namespace or namespace}"
    own = [service] if short == f"{service}.{namespace}" else []
    return tuple(dict.fromkeys([host, short, f"{short}.svc", f"{short}.svc.{_DOMAIN}", *own]))


def short_pattern(pattern: str) -> str | None:
    """Return a pattern of Services without ``svc`` and the cluster's domain, so that names with one dot match.

    None: the pattern is of no Service, or of those of all namespaces, as ``*.svc.cluster.local``, which names of the internet would match.
    The egress guard looks such names up so that they are no Service's.
    """
    full = _FULL.fullmatch(pattern)
    return full[1] if full and set(full[1].rpartition(".")[2]) != {"*"} else None
