"""Names, labels and annotations: every string that two parts of the system must spell alike.

Standard library only: the agent imports this.
"""

import hashlib
import re

GROUP = "sympozium.ai"
VERSION = "v1alpha1"
API_VERSION = f"{GROUP}/{VERSION}"

DNS_LABEL = "[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?"
"""Pattern of a namespace's name (RFC 1123), and of an AgentRun's."""

FIELD_MANAGER = "sympozium-operator"

LABEL_INSTANCE = f"{GROUP}/instance"
LABEL_RUN = f"{GROUP}/run"
LABEL_SOURCE = f"{GROUP}/source"
"""Who made a run: ``web-proxy``, ``mcp``, ``api`` or ``schedule``."""
LABEL_KEY = f"{GROUP}/key"
"""By which the runs of one API key are found: ``key_hash`` of its id."""
LABEL_MODEL = f"{GROUP}/model"
"""On a pod: OWN_MODEL if its run calls a model at another address than its instance does."""
OWN_MODEL = "own"
LABEL_WARM = f"{GROUP}/warm"
"""On a Job that was made for a warm pool: IDLE, or CLAIMED once its run owns it."""
IDLE = "idle"
CLAIMED = "claimed"

ANNOTATION_REPLY_TO = f"{GROUP}/reply-to"
"""Base URL of the replica that holds the caller's connection, e.g. ``http://10.88.0.7:8081``."""
ANNOTATION_ACCEPTED_AT = f"{GROUP}/accepted-at"
"""When a web-proxy took a run's request, to the microsecond (``micro_timestamp``): creation times have whole seconds."""
ANNOTATION_REQUEST_HASH = f"{GROUP}/request-hash"
ANNOTATION_ACCOUNT = f"{GROUP}/service-account-uid"
"""On a web-proxy's pod: the ServiceAccount that its token stands for."""
ANNOTATION_KEY_ID = f"{GROUP}/key-id"
OAUTH_CALLERS = "oauth"
"""Begins the key id of a caller with an access token; ``-`` and a digest of who that is follow."""
ANNOTATION_KEYS_VERSION = f"{GROUP}/keys-version"
"""On a web-proxy's Deployment and pods: the version of the Secret with API keys that its pods were last told to mount."""
ANNOTATION_REQUEST_ID = f"{GROUP}/request-id"
"""The ``x-request-id`` of the request that made a run."""
ANNOTATION_TRACEPARENT = f"{GROUP}/traceparent"
"""W3C Trace Context: below which span the run's call of the model belongs. Whoever makes a run may set it."""
ANNOTATION_TRACESTATE = f"{GROUP}/tracestate"
ANNOTATION_FORWARDS = f"{GROUP}/forwards-headers"
"""On a run whose caller's headers go to the model: only the replica that has them may hand out its task."""
ANNOTATION_DISCARDED = f"{GROUP}/discarded"
"""The caller wants nothing kept of a run: once it has ended, the operator deletes it."""

RUNS_AUDIENCE = "sympozium-runs"
"""Audience of the projected service-account token with which an agent pod speaks to port 8081."""

HTTP_PORT = 8080
RUNS_PORT = 8081

WEB_ENDPOINT_SKILL = "web-endpoint"

_SERVER = "-server"
_AGENT = "-agent"
_OWN_MODEL = "-agent-own-model"
_SKILLS = "-installed-skills"

CONFIG = "default"
"""Name of the SympoziumConfig that counts; it is in the operator's namespace."""

POD_NAME_SUFFIX = 6
"""``-`` and five characters, which the Job controller appends to a Job's name to name its pods."""
_IDLE_JOB = re.compile(r".+-warm-([0-9a-f]{8})-[0-9a-f]{6}")
_POD_SUFFIX = re.compile(r"-[a-z0-9]{5}")


def web_endpoint_run(instance: str) -> str:
    """Name of the server run behind an instance's web endpoint."""
    return f"{instance}-{WEB_ENDPOINT_SKILL}"


def server(run: str) -> str:
    """Name of a server run's Deployment and Service, and of what else stands beside them: its NetworkPolicy, route and scaling."""
    return f"{run}{_SERVER}"


def run_of_child(name: str) -> str:
    """The server run that a child belongs to, told from the one thing about the child that nobody can edit."""
    return name.removesuffix(_SERVER)


def api_key_secret(run: str) -> str:
    """Name of the generated Secret that holds a server run's API key."""
    return f"{run}-web-api-key"


def agent_service_account(instance: str) -> str:
    """Name of the right-less ServiceAccount under which an instance's agent pods run."""
    return f"{instance}{_AGENT}"


def agent_policies(instance: str) -> tuple[str, str]:
    """Names of the NetworkPolicies of all agents of an instance, and of those with a model of their own."""
    return f"{instance}{_AGENT}", f"{instance}{_OWN_MODEL}"


def instance_of_agents(name: str) -> str | None:
    """The instance to whose agents a ServiceAccount, NetworkPolicy or ConfigMap belongs, told from its name; None: it belongs to others."""
    for suffix in (_AGENT, _OWN_MODEL, _SKILLS):
        if name.endswith(suffix):
            return name.removesuffix(suffix)
    return None


def installed_skills(instance: str) -> str:
    """Name of the ConfigMap in which the operator keeps an instance's skills; not one that people would give to theirs."""
    return f"{instance}{_SKILLS}"


def job(run: str, uid: str) -> str:
    """Deterministic name of a run's only Job: at most 57 characters, so that its pods' names are never cut."""
    return f"{run[:48].rstrip('-')}-{hashlib.sha256(uid.encode()).hexdigest()[:8]}"


def is_pod_of_job(pod: str, job_name: str) -> bool:
    """Whether the Job controller could have given this name to a pod of the Job."""
    return pod.startswith(f"{job_name}-") and len(pod) == len(job_name) + POD_NAME_SUFFIX


def key_label(key_id: str) -> str:
    """A key id as a metric's label: callers with access tokens, of whom there may be any number, share one."""
    return OAUTH_CALLERS if key_id.startswith(f"{OAUTH_CALLERS}-") else key_id


def key_hash(key_id: str) -> str:
    """An API key's id as the value of LABEL_KEY, for which an id may be too long."""
    return hashlib.sha256(key_id.encode()).hexdigest()[:16]


def idle_job(instance: str, generation: str, token: str) -> str:
    """Name of a Job of an instance's warm pool; ``token``: 6 random hexadecimal digits. No run's Job can have such a name: theirs
    end with 8.
    """
    return f"{instance[:32].rstrip('-')}-warm-{generation}-{token}"


def idle_job_generation(job: str) -> str | None:
    """Return the generation of the warm pool that a Job was made for, read from its name; None for any other Job."""
    parts = _IDLE_JOB.fullmatch(job)
    return parts[1] if parts else None


def idle_generation(pod: str) -> str | None:
    """Return the generation of the warm pool that a pod was made for, read from its name; None for any other pod."""
    return idle_job_generation(job_of_pod(pod)) if _POD_SUFFIX.fullmatch(pod[-POD_NAME_SUFFIX:]) else None


def job_of_pod(pod: str) -> str:
    """The Job whose controller gave a pod its name."""
    return pod[:-POD_NAME_SUFFIX]


def labels(component: str, *, instance: str | None = None, run: str | None = None) -> dict[str, str]:
    """Labels of an object that belongs to the installation or, where given, to an instance and to one of its runs."""
    found = {
        "app.kubernetes.io/name": "sympozium",
        **({} if instance is None else {"app.kubernetes.io/instance": instance}),
        "app.kubernetes.io/component": component,
        "app.kubernetes.io/managed-by": FIELD_MANAGER,
        "app.kubernetes.io/part-of": "sympozium",
        **({} if instance is None else {LABEL_INSTANCE: instance}),
    }
    return found if run is None else found | {LABEL_RUN: run}
