"""Names, labels and annotations: every string that two processes must spell alike. Standard library only."""

import hashlib
import re

GROUP = "sympozium.ai"
VERSION = "v1alpha1"
API_VERSION = f"{GROUP}/{VERSION}"

DNS_LABEL = "[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?"
"""Pattern of the name of a namespace (RFC 1123), and of an AgentRun."""

FIELD_MANAGER = "sympozium-operator"

MANAGED_BY = "app.kubernetes.io/managed-by"
LABEL_INSTANCE = f"{GROUP}/instance"
LABEL_RUN = f"{GROUP}/run"
LABEL_SOURCE = f"{GROUP}/source"
"""Creator of a run: ``web-proxy``, ``mcp``, ``api`` or ``schedule``."""
LABEL_KEY = f"{GROUP}/key"
"""Selector of the runs of one API key: ``key_hash`` of its id."""
LABEL_SESSION = f"{GROUP}/session"
"""On a run that is a turn of a session: digest of instance, scope and ``spec.sessionKey``."""
LABEL_IDEMPOTENCY = f"{GROUP}/idempotency-key"
"""On a run that is a turn of a session: digest of its Idempotency-Key, which gives another run its name."""
LABEL_VERSION = f"{GROUP}/version"
"""On a run of an agent's published version: the version's number."""
LABEL_MODEL = f"{GROUP}/model"
"""On a pod: OWN_MODEL if its run calls a model at another address than its instance does."""
OWN_MODEL = "own"
LABEL_MODEL_KEY = f"{GROUP}/model-key"
"""On a Secret, with the value ``true``: any run of the namespace may name it in ``spec.model.authSecretRef``."""
LABEL_STORAGE = f"{GROUP}/storage"
"""On a server run, with the value ``STORAGE_FULL``: open runs alone store as many bytes as their namespace may. Set by the operator."""
STORAGE_FULL = "full"
LABEL_DELETING = f"{GROUP}/deleting"
"""On an instance whose deletion the console was asked for: time of the request, in seconds since 1970. It gets no new runs, and is deleted
once its runs are archived."""
LABEL_WARM = f"{GROUP}/warm"
"""On a Job of a warm pool: IDLE, or CLAIMED once its run owns the Job."""
IDLE = "idle"
CLAIMED = "claimed"

ANNOTATION_REPLY_TO = f"{GROUP}/reply-to"
"""Base URL of the replica that holds the caller's connection, e.g. ``http://10.88.0.7:8081``."""
ANNOTATION_ACCEPTED_AT = f"{GROUP}/accepted-at"
"""Time at which a web-proxy accepted a run's request, to the microsecond (``micro_timestamp``), because creation times have whole
seconds."""
ANNOTATION_REQUEST_HASH = f"{GROUP}/request-hash"
"""Digest of the body with which an object was created under an Idempotency-Key."""
ANNOTATION_REQUESTS = f"{GROUP}/requests"
"""On a ToolBinding: JSON object of the newest requests with an Idempotency-Key that made or replaced it: digest of each body, by an id
of the key."""
ANNOTATION_KEY_EXPIRES = f"{GROUP}/idempotency-expires"
"""On a run with an Idempotency-Key, and on a turn of a session: time until which the key stands, and the operator keeps the run
(``timestamp``)."""
ANNOTATION_FIRST_ATTEMPT = f"{GROUP}/first-attempt"
"""On a run that followed cancelled ones of its Idempotency-Key: name of the key's first run, which leads to this one."""
ANNOTATION_NEWEST_ATTEMPT = f"{GROUP}/newest-attempt"
"""On the first run of an Idempotency-Key: number of the newest run that a web-proxy made for the key, because those before were
cancelled."""
ANNOTATION_SESSION_HISTORY = f"{GROUP}/session-history"
"""On a turn of a session: number of messages of earlier turns with which the run's request begins."""
ANNOTATION_SESSION_LEFT_OUT = f"{GROUP}/session-left-out"
"""On a turn of a session: number of messages of earlier turns that the run's request does not have, because of the session's bound."""
ANNOTATION_AGENT_ID = f"{GROUP}/agent-id"
"""On a run of an instance with LABEL_ID: the same id, by which the run is found whatever becomes of the instance."""
ANNOTATION_AGENT_TITLE = f"{GROUP}/agent-title"
"""On a run of a published version: the agent's title in that version."""
ANNOTATION_ACCOUNT = f"{GROUP}/service-account-uid"
ANNOTATION_SESSION_KEY = f"{GROUP}/session-key-uid"
"""On a web-proxy's pod: UID of the ServiceAccount of its token."""
ANNOTATION_PLACEMENT = f"{GROUP}/placement"
"""On an agent's Job: placement of the pod template that the Job was made from. Pods of other templates show nothing of the next pod."""
ANNOTATION_KEY_ID = f"{GROUP}/key-id"
ANNOTATION_KEY_NAME = f"{GROUP}/key-name"
"""On a run: display name of the API key."""
OAUTH_CALLERS = "oauth"
"""Prefix of the key id of a caller with an access token; ``-`` and a digest of the caller's identity follow."""
OIDC_CALLERS = "oidc"
"""The same for the users of the console's issuer."""
ACCOUNT_CALLERS = "system:serviceaccount"
"""Prefix of the key id of a service account; ``:``, its namespace and its name follow."""
TOKEN_CALLERS = "jwt"  # noqa: S105 - a prefix
"""The same for callers of the agent platform whose token names no key."""
API_KEY_CALLERS = "apikey"
"""Label of callers with an APIKey, whose key ids are UUIDs."""
STATIC_KEY_CALLERS = "AUTH_API_KEYS"
"""Prefix of the key id of a caller with a key of this variable; ``/`` and its user follow."""
_MANY_CALLERS = {
    f"{OAUTH_CALLERS}-": OAUTH_CALLERS,
    f"{OIDC_CALLERS}-": OIDC_CALLERS,
    f"{TOKEN_CALLERS}-": TOKEN_CALLERS,
    f"{ACCOUNT_CALLERS}:": ACCOUNT_CALLERS,
    f"{STATIC_KEY_CALLERS}/": STATIC_KEY_CALLERS,
}
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
ANNOTATION_KEYS_VERSION = f"{GROUP}/keys-version"
"""On a web-proxy's Deployment and pods: the version of the Secret with API keys that the operator last gave them."""
ANNOTATION_REQUEST_ID = f"{GROUP}/request-id"
"""The ``x-request-id`` of the request that created a run."""
ANNOTATION_TRACEPARENT = f"{GROUP}/traceparent"
"""W3C Trace Context: the parent span of the run's call of the model. The creator of a run may set it."""
ANNOTATION_TRACESTATE = f"{GROUP}/tracestate"
ANNOTATION_FORWARDS = f"{GROUP}/forwards-headers"
"""On a run whose caller's headers go to the model: only the replica that has the headers may hand out the task."""
ANNOTATION_AWAITS_IDLE_POD = f"{GROUP}/awaits-idle-pod"
"""On a run whose web-proxy found no idle pod but expects one, or that the console started for an instance with a warm pool: any
web-proxy of the instance may bind the run to an idle pod until its start is decided."""
ANNOTATION_WAITING_AT = f"{GROUP}/waiting-at"
"""On a run that callers of several replicas came for: the base URLs of the replicas whose callers wait, comma-separated."""
ANNOTATION_RESUMABLE = f"{GROUP}/resumable"
"""On a run whose stream a caller may join after its beginning: replicas keep the records of such a run until it ends."""
ANNOTATION_DISCARDED = f"{GROUP}/discarded"
"""On a run of which the caller wants nothing stored: the operator deletes it once it has ended."""
ANNOTATION_ASKED_BY = f"{GROUP}/asked-by"
"""On the Lease of a shard: the operator replica that holds less than its share and asks the holder for this one."""
ANNOTATION_MOST_SHARDS = f"{GROUP}/most-shards"
"""On the operator's Leases: the most shards that the installation ever had, so that a replica knows which Leases others may hold."""

LABEL_TOOL_KEY = f"{GROUP}/tool-key"
"""On a Secret, with the value ``true``: a Tool of the namespace may name it in ``spec.webhook.secretRef``."""

LABEL_CREDENTIALS = f"{GROUP}/credentials"
"""On a Secret with credentials that a caller of the console has sent, and on the ConfigMap that owns it, with the value ``true``."""

RUNS_AUDIENCE = "sympozium-runs"
"""Audience of the projected service-account token with which an agent's pod calls port 8081."""

EGRESS_AUDIENCE = "sympozium-egress"
"""Audience of the tokens with which operator and console ask the egress guard to call Providers."""

CONSOLE_AUDIENCE = "sympozium-console"
"""Audience of the service-account tokens that open the management API."""
LABEL_ID = f"{GROUP}/id"
"""On an object that a dialect of the console created: its id (a UUID), which a restore keeps."""
ANNOTATION_OWNER = f"{GROUP}/owner"
"""On an object that a dialect of the console created: the user who owns it."""
ANNOTATION_CREATED_AT = f"{GROUP}/created-at"
"""On the same object: time of its creation, to the microsecond (``micro_timestamp``), which a restore keeps."""
ANNOTATION_UPDATED_AT = f"{GROUP}/updated-at"
"""On an object that a dialect changed: time of the last change (``micro_timestamp``)."""
ANNOTATION_PUBLISHED_VERSION = f"{GROUP}/published-version"
"""On an instance that the platform API published: name of the ControllerRevision with the version that its runs get."""
ANNOTATION_PUBLISHED_DIGEST = f"{GROUP}/published-digest"
"""On the same instance: digest of that version's content. An instance whose content has another digest is a draft of the next version."""
ANNOTATION_REVOKED_AT = f"{GROUP}/revoked-at"
"""On an APIKey that a caller of the console revoked: time of the request (``timestamp``)."""
LABEL_TENANT_ID = f"{GROUP}/tenant-id"
"""On a namespace: its id as a tenant; without it the namespace's UID is that."""

PLATFORM_PORT = 8000
HTTP_PORT = 8080
RUNS_PORT = 8081
EGRESS_PORT = 8082
METRICS_PORT = 9090

EGRESS = "sympozium-egress"
"""Name of the egress guard's Deployment, Service and ServiceAccount in the operator's namespace, and of its Role in each other one."""
TOOL_SECRETS = "tool-secrets"
"""Secret of a namespace whose entries ToolBindings name in ``spec.secretKey``."""
TOOLS_READ = "tools:read"
"""Scope of callers of the agent platform that read, and start runs."""
TOOLS_WRITE = "tools:write"
"""Scope of a caller that ToolBindings with ``permissionScope: write`` ask for."""

WEB_ENDPOINT_SKILL = "web-endpoint"

_SERVER = "-server"
_AGENT = "-agent"
_OWN_MODEL = "-agent-own-model"
_SKILLS = "-installed-skills"
_API_KEYS = "-web-api-key"

CONFIG = "default"
"""Name of the only SympoziumConfig that the operator reads; it is in the operator's namespace."""

POD_NAME_SUFFIX = 6
"""Length of the suffix of a pod's name: ``-`` and five characters, which the Job controller appends to the Job's name."""
_IDLE_JOB = re.compile(r".+-warm-([0-9a-f]{8})-[0-9a-f]{6}")
_POD_SUFFIX = re.compile(r"-[a-z0-9]{5}")


def web_endpoint_run(instance: str) -> str:
    """Return the name of the server run behind an instance's web endpoint."""
    return f"{instance}-{WEB_ENDPOINT_SKILL}"


def server(run: str) -> str:
    """Return the name of a server run's Deployment, Service, NetworkPolicy, HTTPRoute and HorizontalPodAutoscaler."""
    return f"{run}{_SERVER}"


def run_of_child(name: str) -> str | None:
    """Return the server run of a child from the child's name, which nobody can edit; None: no server run's."""
    run = name.removesuffix(_SERVER)
    return run if instance_of_run(run) else None


def instance_of_run(run: str) -> str | None:
    """Return the instance whose server run has this name; None: no server run has it."""
    suffix = f"-{WEB_ENDPOINT_SKILL}"
    return run.removesuffix(suffix) if run.endswith(suffix) else None


def api_key_secret(run: str) -> str:
    """Return the name of the generated Secret that holds a server run's API key."""
    return f"{run}{_API_KEYS}"


def is_api_key_secret(secret: str) -> bool:
    """Return true if a Secret of this name is one in which the operator keeps callers' API keys."""
    return secret.endswith(_API_KEYS)


def session_key_secret(run: str) -> str:
    """Return the name of the generated Secret that holds the key with which a server run's MCP sessions are signed."""
    return f"{run}-session-key"


def agent_version(instance: str, number: int | str) -> str:
    """Return the name of the ControllerRevision with a version of an instance's agent."""
    return f"{instance}-v{number}"


def agent_service_account(instance: str) -> str:
    """Return the name of the ServiceAccount without permissions under which an instance's agents run."""
    return f"{instance}{_AGENT}"


def agent_policies(instance: str) -> tuple[str, str]:
    """Return the names of the NetworkPolicies of an instance's agents: of all of them, and of those with a model of their own."""
    return f"{instance}{_AGENT}", f"{instance}{_OWN_MODEL}"


def instance_of_agents(name: str) -> str | None:
    """Return the instance whose agents use the ServiceAccount, NetworkPolicy or ConfigMap of this name; None: no instance's."""
    for suffix in (_AGENT, _OWN_MODEL, _SKILLS):
        if name.endswith(suffix):
            return name.removesuffix(suffix)
    return None


def installed_skills(instance: str) -> str:
    """Return the name of the ConfigMap in which the operator stores an instance's skills; users would not choose it for theirs."""
    return f"{instance}{_SKILLS}"


def job(run: str, uid: str) -> str:
    """Return the name of a run's only Job: at most 57 characters, so that Kubernetes never shortens its pods' names."""
    return f"{run[:48].rstrip('-')}-{hashlib.sha256(uid.encode()).hexdigest()[:8]}"


def run_part(instance: str, uid: str, sha256: str, index: int) -> str:
    """Return the name of a part of the text with this digest, of the run with this UID.

    Another text of the run, or a later run of the same name, has other parts. The name begins with the instance's, so that an
    admission policy can bound a web-proxy to its own.
    """
    return f"{instance}-part-{hashlib.sha256(f'{uid}/{sha256}'.encode()).hexdigest()[:20]}-{index}"


def is_pod_of_job(pod: str, job_name: str) -> bool:
    """Return true if the Job controller could have given this name to a pod of the Job."""
    return pod.startswith(f"{job_name}-") and len(pod) == len(job_name) + POD_NAME_SUFFIX


def agent_api_url(ip: str) -> str:
    """Return the base URL of the agent API of the pod with this IP address."""
    return f"http://[{ip}]:{RUNS_PORT}" if ":" in ip else f"http://{ip}:{RUNS_PORT}"


def is_uuid(text: str) -> bool:
    """Return true if a text is a UUID as Kubernetes writes it."""
    return _UUID.fullmatch(text) is not None


def key_label(key_id: str) -> str:
    """Return a key id as a metric's label. Callers of a kind whose number is not bounded share one label."""
    if is_uuid(key_id):
        return API_KEY_CALLERS
    return next((label for prefix, label in _MANY_CALLERS.items() if key_id.startswith(prefix)), key_id)


def key_hash(key_id: str) -> str:
    """Return the value of LABEL_KEY for an API key's id, which may be too long for a label."""
    return hashlib.sha256(key_id.encode()).hexdigest()[:16]


def idle_job(instance: str, generation: str, token: str) -> str:
    """Return the name of a Job of an instance's warm pool; ``token``: 6 random hexadecimal digits.

    No run's Job has such a name, because theirs end with 8 digits.
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
    """Return the name of the Job to which a pod of this name belongs."""
    return pod[:-POD_NAME_SUFFIX]


def labels(component: str, *, instance: str | None = None, run: str | None = None) -> dict[str, str]:
    """Return the labels of an object of the installation or, if given, of an instance and of one of its runs."""
    values = {
        "app.kubernetes.io/name": "sympozium",
        **({} if instance is None else {"app.kubernetes.io/instance": instance}),
        "app.kubernetes.io/component": component,
        MANAGED_BY: FIELD_MANAGER,
        "app.kubernetes.io/part-of": "sympozium",
        **({} if instance is None else {LABEL_INSTANCE: instance}),
    }
    return values if run is None else values | {LABEL_RUN: run}
