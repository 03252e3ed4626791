"""Least rights: no right is granted that is not used, and nothing is asked for that is not granted.

Read from the API server's audit log, which the local cluster keeps. Refusals are looked for in all that this session of tests has
done, which is why these tests come last (marker ``audit``). Unused rights cannot be told from what other tests happened to do: the fixture
``used`` makes every part use all that it has, so these tests mean the same when they run alone.
"""

import json
import secrets

import pytest
from tests.e2e.audit import AuditLog, Right, granted
from tests.e2e.conftest import Endpoint, Namespace, agent_run, installed_with, instance, until
from tests.e2e.consoles import Console

OPERATOR = "sympozium-system:sympozium-operator"
RUNS = "sympozium-system:sympozium-runs"
GUARD = "sympozium-system:sympozium-egress"
CONSOLE = "sympozium-system:sympozium-console"

ANYBODY = {"selfsubjectaccessreviews", "selfsubjectreviews"}
"""Resources that Kubernetes itself lets every account request."""

SELDOM = {Right("sympozium.ai", "sympoziuminstances", "get")}
"""Rights that a web-proxy uses only if a pod polls before its watch has begun; web-proxies of 0.1.0, during an upgrade, always."""

GRANTED = {Right("sympozium.ai", "agentrunparts", verb) for verb in ("create", "get")}
"""Rights that the operator has only because it grants them to web-proxies."""


SHOWN_ELSEWHERE = {
    Right("", "secrets", "create"),
    Right("", "configmaps", "create"),
    Right("", "namespaces", "list"),
    Right("authorization.k8s.io", "localsubjectaccessreviews", "create"),
    *(Right("sympozium.ai", "sympoziumconfigs", verb) for verb in ("get", "create", "update")),
    *(Right("sympozium.ai", "apikeys", verb) for verb in ("list", "watch", "create", "patch")),
    *(Right("apps", "controllerrevisions", verb) for verb in ("get", "create")),
    Right("sympozium.ai", "providers", "get"),
    *(
        Right("sympozium.ai", kind, verb)
        for kind in ("tools", "toolbindings")
        for verb in ("get", "list", "create", "patch", "delete")
    ),
}
"""Rights of the console for credentials, the SympoziumConfig, API keys, agents, tools and callers with own tokens, which have own tests."""


DENIED = "169.254.169.254"
"""Host that a policy denies."""

FOR_PEOPLE = {f"sympozium-{role}" for role in ("viewer", "reader", "editor", "admin")}

LONG = {Right("sympozium.ai", "agentrunparts", verb) for verb in ("create", "get")}
"""Rights that the runs server uses only for a long request that waits when its web endpoint is removed, and for a long answer; and the
console for a long answer, and for a long request of a web endpoint whose events it streams."""


@pytest.fixture(scope="module")
def used(audit: AuditLog, namespace: Namespace, system: Namespace) -> set[tuple[str, Right]]:
    """Every account and right that was used, after all has been used."""
    everything_happens(namespace, system)
    return {(use.account, use.right) for use in audit.uses() if use.allowed}


def everything_happens(namespace: Namespace, system: Namespace) -> None:
    """Let each part do each thing that it can do, once."""
    servers = ("deployment/sympozium-runs", "deployment/sympozium-egress", "deployment/sympozium-console")
    system.kubectl("rollout", "restart", *servers)  # they read the cluster's keys again
    system.delete("lease", "sympozium-operator")
    huge = ("agent.resources.requests.cpu=1000", "agent.resources.limits.cpu=1000")
    with installed_with(*huge):  # another operator lists, watches and makes its Lease; no node holds the pod: nodes are
        namespace.apply(agent_run("room", task="hello"))  # listed, an Event is written
        assert namespace.run_ends("room")["phase"] == "Failed"
    for server in servers:
        system.kubectl("rollout", "status", server, "--timeout=4m")
    quota = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "full"}, "spec": {"hard": {"pods": "0"}}}
    namespace.apply(quota, agent_run("podless", task="hello"))  # Events about the Job are read
    assert namespace.run_ends("podless")["phase"] == "Failed"
    namespace.delete("resourcequota", "full")
    here = {"matchLabels": {"kubernetes.io/metadata.name": namespace.name}}
    bounds = {"apiVersion": "sympozium.ai/v1alpha1", "kind": "SympoziumPolicy", "metadata": {"name": "audited"}}
    bounded = {"namespaceSelector": here, "egressHosts": {"deny": [DENIED]}}
    system.apply(bounds | {"spec": bounded})  # labels of namespaces are read, a status is written
    notes = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "audited"}, "data": {"style": "Be kind."}}
    known = [{"configMapRef": "audited"}, {"skillPackRef": "audited"}]
    greeting = {"name": "greeting", "content": "Greet the caller."}
    pack = {"apiVersion": "sympozium.ai/v1alpha1", "kind": "SkillPack", "metadata": {"name": "audited"}}
    namespace.apply(
        notes,
        pack | {"spec": {"skills": [greeting]}},
        instance("audited", webEndpoint={"enabled": True}, skills=known),
        instance("read", skills=known, agent={"builtinTools": ["fetch_url"]}),
    )
    endpoint = Endpoint(namespace, "audited").serves()
    assert endpoint.chat().status_code == 200
    assert endpoint.http.get("/v1/responses/resp_audited-0123456789ab").status_code == 404  # a run is read
    assert endpoint.chat(secrets.token_hex(2**20)).status_code == 200  # parts are written and read
    endpoint.use_model("slow:200:100")
    with endpoint.http.stream("POST", "/v1/chat/completions", json=STREAMED) as answer:
        next(answer.iter_lines())  # and then leaves, which cancels the run
    until(lambda: any(run.get("status", {}).get("phase") == "Cancelled" for run in runs_of(namespace)), within=30)
    endpoint.close()
    a_provider_is_tried(namespace)
    namespace.apply(agent_run("audited-by-hand", agentRef="read", task="hello"))  # the runs server's
    assert namespace.run_ends("audited-by-hand")["phase"] == "Succeeded"
    namespace.apply(agent_run("audited-log", task="hello", model={"model": "status:500"}))
    assert namespace.run_ends("audited-log")["phase"] == "Failed"
    the_console_is_asked(Console(system, namespace.name))
    its_callers_have_keys_and_rights(Console(system, namespace.name), namespace)
    tools_are_called(namespace)
    system.delete("sympoziumpolicy", "audited")  # an instance that one bounds keeps its ConfigMap
    edited_and_removed(namespace, endpoint)


def the_console_is_asked(console: Console) -> None:
    """Instances and runs are made, read, changed and deleted; a run's skills are read, its end is stored, its Events are sent."""
    body = {"spec": instance("asked")["spec"]}
    for method, path, request in (
        ("PUT", "instances/asked", {"json": body}),
        ("PUT", "instances/asked", {"json": body}),
        ("PATCH", "instances/asked", {"json": {"maxQueuedRuns": 5}}),
        ("GET", "instances", {}),
        ("GET", "skills", {}),
        ("GET", "runs/audited-log/logs", {}),
        ("DELETE", "instances/asked", {}),
    ):
        assert console.asks(method, path, **request).is_success, (method, path)
    started = console.asks("POST", "runs", json={"agentRef": "read", "task": "hello"})
    name = started.json()["metadata"]["name"]
    assert list(console.follow(name))[-1][1]["phase"] == "Succeeded"
    assert console.asks("DELETE", f"runs/{name}").is_success
    waits = {"agentRef": "read", "request": {"model": "default", "messages": [{"role": "user", "content": "hello"}]}}
    cancelled = console.asks("POST", "runs", json=waits).json()["metadata"]["name"]
    console.asks("POST", f"runs/{cancelled}/cancel")
    assert console.get("runs")["items"]
    assert console.http.get("/").is_success  # the first page shows whether the operator holds its Lease
    console.http.close()


def its_callers_have_keys_and_rights(console: Console, namespace: Namespace) -> None:
    """A key is made and revoked; RBAC is asked what a service account may list, in all namespaces that there are."""
    key = console.asks("POST", "api-keys", json={"name": "seen", "user": "ada", "scopes": ["operator.read"]})
    assert key.is_success, key.text
    assert console.asks("DELETE", f"api-keys/{key.json()['id']}").is_success
    token = namespace.kubectl("create", "token", "default", "--audience", "sympozium-console")
    console.http.headers["Authorization"] = f"Bearer {token.strip()}"
    assert console.asks("GET", "runs", query={"namespace": ""}).is_success
    console.http.close()


def a_provider_is_tried(namespace: Namespace) -> None:
    metadata = {"name": "provider-key", "labels": {"sympozium.ai/model-key": "true"}}
    namespace.apply({"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": {"api-key": "sk-1"}})
    spec = {"type": "openai_compat", "apiBase": "http://model:8080/v1", "secretRef": "provider-key"}
    head = {"apiVersion": "sympozium.ai/v1alpha1", "kind": "Provider", "metadata": {"name": "audited"}}
    namespace.apply(head | {"spec": spec})
    namespace.kubectl("wait", "provider/audited", "--for=condition=Reachable", "--timeout=4m")
    namespace.delete("provider", "audited")


STREAMED = {"stream": True, "messages": [{"role": "user", "content": "hello"}]}


def runs_of(namespace: Namespace) -> list[dict[str, dict[str, str]]]:
    return namespace.list("runs", "-l", "sympozium.ai/instance=audited,sympozium.ai/source=web-proxy")


def edited_and_removed(namespace: Namespace, endpoint: Endpoint) -> None:
    """Every kind of child is patched; the SkillPack's status is written; the endpoint goes."""
    children = {"serviceaccount": endpoint.run, "role": endpoint.run, "rolebinding": endpoint.run}
    children |= {"deployment": f"{endpoint.run}-server", "service": f"{endpoint.run}-server"}
    children |= {"secret": f"{endpoint.run}-web-api-key", "run": endpoint.run, "configmap": "audited-installed-skills"}
    part_of = ("-o", "jsonpath={.metadata.labels.app\\.kubernetes\\.io/part-of}")
    for kind, name in children.items():
        namespace.patch(kind, name, {"metadata": {"labels": {"app.kubernetes.io/part-of": "another"}}})
        until(lambda kind=kind, name=name: namespace.kubectl("get", kind, name, *part_of) == "sympozium", within=15)  # type: ignore[misc]
    pack = {"apiVersion": "sympozium.ai/v1alpha1", "kind": "SkillPack", "metadata": {"name": "seen"}, "spec": {}}
    namespace.apply(pack)
    until(lambda: namespace.status("skillpack", "seen").get("phase") == "Ready", within=10)
    namespace.delete("skillpack", "seen")
    namespace.patch("instance", "audited", {"spec": {"webEndpoint": {"enabled": False}, "skills": []}})
    for kind, name in (("run", endpoint.run), ("configmap", "audited-installed-skills")):
        until(lambda kind=kind, name=name: not namespace.kubectl("get", kind, name, "--ignore-not-found"), within=30)  # type: ignore[misc]


def tools_are_called(namespace: Namespace) -> None:
    """A key is read, a token of the guard's account is made, a built-in tool is looked up in its instance, a skill in its SkillPack; a
    host is denied.
    """
    url, host = f"http://model.{namespace.name}.svc:8080/", f"model.{namespace.name}.svc"
    metadata = {"name": "audited-key", "labels": {"sympozium.ai/tool-key": "true"}}
    namespace.apply({"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": {"api-key": "k"}})
    auths = {"audited": {"auth": "apiKey", "secretRef": "audited-key"}, "served": {"auth": "service"}}
    for name, auth in auths.items():
        head = {"apiVersion": "sympozium.ai/v1alpha1", "metadata": {"name": name}}
        spec = {"title": name, "function": name, "webhook": {"url": url} | auth}
        grant = {"agentRef": "read", "toolRef": name, "allowedDomains": [host]}
        namespace.apply(head | {"kind": "Tool", "spec": spec}, head | {"kind": "ToolBinding", "spec": grant})
        namespace.kubectl("wait", f"toolbinding/{name}", "--for=condition=InForce", "--timeout=4m")
    head = {"apiVersion": "sympozium.ai/v1alpha1", "metadata": {"name": "greeting"}}
    spec = {"title": "greeting", "function": "greeting", "builtin": {"name": "greeting"}}
    grant = {"agentRef": "read", "toolRef": "greeting"}
    namespace.apply(head | {"kind": "Tool", "spec": spec}, head | {"kind": "ToolBinding", "spec": grant})
    namespace.kubectl("wait", "toolbinding/greeting", "--for=condition=InForce", "--timeout=4m")
    document = ("-o", "jsonpath={.data.agent\\.json}")

    def offered() -> set[str]:
        found = namespace.kubectl("get", "configmap", "read-installed-skills", *document)
        return {tool["function"] for tool in json.loads(found)["tools"]} if found else set()

    until(lambda: {"audited", "served", "greeting"} <= offered(), within=10, why=offered)
    page = json.dumps({"url": f"http://{DENIED}/"})
    calls = [["a", "audited", "{}"], ["b", "served", "{}"], ["c", "fetch_url", page], ["d", "greeting", "{}"]]
    task = json.dumps([{"calls": calls}, {"content": "done"}])
    namespace.apply(agent_run("audited-tools", agentRef="read", task=task, model={"model": "turns"}))
    assert namespace.run_ends("audited-tools")["tokenUsage"]["toolCalls"] == 4
    namespace.delete("tool", "audited")
    until(lambda: not namespace.kubectl("get", "toolbinding", "audited", "--ignore-not-found"), within=10)
    namespace.delete("tool", "served")


def roles_of(system: Namespace, component: str) -> set[Right]:
    """All that the chart grants to a part, in Roles and in ClusterRoles; those for people are bound to nobody."""
    ours = ("-l", f"app.kubernetes.io/part-of=sympozium,app.kubernetes.io/component={component}")
    roles = [*system.list("clusterroles", *ours), *system.list("roles", *ours)]
    assert roles
    own = [role for role in roles if role["metadata"]["name"] not in FOR_PEOPLE]
    return {right for role in own for right in granted(role["rules"])}


@pytest.mark.audit
def test_the_operator_uses_every_right_that_it_has(used: set[tuple[str, Right]], system: Namespace) -> None:
    unused = roles_of(system, "operator") - {right for account, right in used if account == OPERATOR}
    assert sorted(unused - GRANTED) == []


@pytest.mark.audit
def test_the_runs_server_uses_every_right_that_it_has(used: set[tuple[str, Right]], system: Namespace) -> None:
    unused = roles_of(system, "runs") - {right for account, right in used if account == RUNS}
    assert sorted(unused - LONG) == []


@pytest.mark.audit
def test_the_console_uses_every_right_that_it_has(used: set[tuple[str, Right]], system: Namespace) -> None:
    unused = roles_of(system, "console") - {right for account, right in used if account == CONSOLE}
    assert sorted(unused - LONG - SHOWN_ELSEWHERE) == []


@pytest.mark.audit
def test_the_egress_guard_uses_every_right_that_it_has(used: set[tuple[str, Right]], system: Namespace) -> None:
    """That to Secrets is in a Role of each namespace, which the operator keeps."""
    uses = {right for account, right in used if account == GUARD}
    by_selector = Right(
        "", "namespaces", "get"
    )  # read where a policy of the operator's namespace has a namespaceSelector
    assert sorted(roles_of(system, "egress") - uses - {by_selector}) == []
    assert Right("", "secrets", "get") in uses


@pytest.mark.audit
@pytest.mark.usefixtures("used")
def test_of_a_providers_secret_operator_and_console_read_no_more_than_that_it_exists(audit: AuditLog) -> None:
    """The API server's answers to the operator hold no entry; the guard, which tries the Provider, has the Secret itself."""
    refused = "Status"  # there is no such Secret any more, or no right to it yet
    reads = {(account, kind) for account, kind in audit.reads_of_secret("provider-key") if kind != refused}
    assert {kind for account, kind in reads if account == OPERATOR} == {"PartialObjectMetadata"}
    assert {account for account, _ in reads} == {OPERATOR, GUARD}
    assert (GUARD, "Secret") in reads


@pytest.mark.audit
def test_web_proxies_use_every_right_that_they_have(used: set[tuple[str, Right]], chat: Endpoint) -> None:
    """All of them have the same rules; what one of them did counts for all."""
    has = granted(chat.namespace.get("role", chat.run)["rules"])
    unused = has - {right for account, right in used if account.endswith("-web-endpoint")}
    assert sorted(unused - SELDOM) == []


@pytest.mark.audit
def test_nobody_of_ours_asked_for_what_is_not_granted(used: set[tuple[str, Right]], audit: AuditLog) -> None:
    assert used
    refused = [
        use
        for use in audit.refused()
        if use.account in (OPERATOR, RUNS, GUARD, CONSOLE) or use.account.endswith("-web-endpoint")
        if not use.account.endswith(":mended-web-endpoint")  # tests/e2e/test_repair.py takes its rights away
    ]
    assert [use for use in refused if use.right.resource not in ANYBODY] == []


@pytest.mark.parametrize("deployment", ["sympozium-operator", "sympozium-runs", "sympozium-egress"])
def test_it_runs_as_nobody_on_a_root_that_nobody_writes(system: Namespace, deployment: str) -> None:
    """Asked in the live container."""
    ask = (
        "import os\n"
        "print(os.getuid(), os.getgid())\n"
        "for folder in ('/', '/tmp', '/usr', os.getcwd()):\n"
        "    try: open(os.path.join(folder, 'written'), 'w'); print('written', folder)\n"
        "    except OSError as error: print(error.strerror)\n"
    )
    said = system.kubectl("exec", f"deployment/{deployment}", "--", "python", "-c", ask).splitlines()
    assert said == ["65532 65532", *["Read-only file system"] * 4]
