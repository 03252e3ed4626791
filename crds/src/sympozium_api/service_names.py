"""Names of Services, which a pod may write short: ``db``, ``db.payments``, ``db.payments.svc`` and with the cluster's domain. Pure.

A pod of a headless Service has a label more in front: ``db-0.db.payments.svc``.
"""

import re

_FULL = re.compile(r"(.+\.[^.]+)\.svc(\..+)?")
_OF_SERVICES = re.compile(r"(.+)\.svc\..+")
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


def pattern_writings(pattern: str) -> tuple[str, ...]:
    """Return a pattern as it is and, of Services, without the cluster's domain, and without ``svc`` so that names with one dot match.

    A pattern of all namespaces, as ``*.svc.cluster.local``, keeps ``svc``: without it names of the internet would match. The egress guard
    looks such names up so that they are no Service's.
    """
    of_services, full = _OF_SERVICES.fullmatch(pattern), _FULL.fullmatch(pattern)
    is_of_some = full is not None and set(full[1].rpartition(".")[2]) != {"*"}
    return pattern, *([f"{of_services[1]}.svc"] if of_services else []), *([full[1]] if full and is_of_some else [])
