"""Rows of docs/reference/rights.md: what a right amounts to once the chart's admission policies bound it, with real accounts.

Every account of these tests that is not the installation's has all rights on AgentRuns, so what is refused is refused by a policy. The
runs' instance does not exist: the operator lets them wait.
"""

import base64
import json
import secrets
import ssl
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest
from tests.e2e.conftest import Namespace, Object, Refused, agent_run, until

from sympozium_api import run_part
from sympozium_api.run import AgentRun

OPERATOR = "sympozium-system:sympozium-operator"
RUNS_SERVER = "sympozium-system:sympozium-runs"
CONSOLE = "sympozium-system:sympozium-console"
RUN = {"agentRef": "absent", "request": {"messages": [{"role": "user", "content": "say hello"}]}}
CLAIM = {"jobName": "absent-warm-01234567-012345", "podName": "absent-warm-01234567-012345-abcde"}
ENDED = {"phase": "Failed", "error": {"type": "lost", "message": "x", "httpStatus": 502}}


def role(name: str) -> list[Object]:
    """A Role with all rights on AgentRuns, for the accounts of these tests."""
    rbac, accounts = "rbac.authorization.k8s.io", ("absent-web-endpoint", "other-web-endpoint", "tenant")
    rules = [
        {"apiGroups": ["sympozium.ai"], "resources": ["agentruns", "agentruns/status"], "verbs": ["*"]},
        {"apiGroups": ["sympozium.ai"], "resources": ["agentrunparts"], "verbs": ["create"]},
    ]
    subjects = [{"kind": "ServiceAccount", "name": account, "namespace": name} for account in accounts]
    return [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}},
        *({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": account}} for account in accounts),
        {"apiVersion": f"{rbac}/v1", "kind": "Role", "metadata": {"name": "all-runs"}, "rules": rules},
        {
            "apiVersion": f"{rbac}/v1",
            "kind": "RoleBinding",
            "metadata": {"name": "all-runs"},
            "roleRef": {"apiGroup": rbac, "kind": "Role", "name": "all-runs"},
            "subjects": subjects,
        },
    ]


class Accounts:
    """AgentRuns of one namespace, written as one account or another."""

    def __init__(self, namespace: Namespace, http: httpx2.Client) -> None:
        self.namespace, self._http = namespace, http
        self.web_proxy, self.other, self.tenant = (
            f"{namespace.name}:{name}" for name in ("absent-web-endpoint", "other-web-endpoint", "tenant")
        )
        self._tokens: dict[str, str] = {}

    def create(
        self, account: str, *, labels: Object | None = None, annotations: Object | None = None, **spec: Any
    ) -> str:
        """Create a run; return its name. Raises Refused."""
        run = agent_run(f"r{secrets.token_hex(4)}", **(RUN | spec))
        run["spec"] = {field: value for field, value in run["spec"].items() if value is not None}
        run["metadata"]["labels"] = {"sympozium.ai/instance": "absent"} if labels is None else labels
        run["metadata"]["annotations"] = annotations or {}
        self._as(account, "create", "-f-", stdin=json.dumps(run))
        return str(run["metadata"]["name"])

    def create_part(
        self, account: str, run: str, *, label: str = "absent", text: str = "request", **metadata: Any
    ) -> str:
        """Create a part of a run; return its name. Raises Refused."""
        found = AgentRun.model_validate(self.namespace.get("run", run))
        part = run_part.manifest(found, text, secrets.token_hex(32), 0, "{}")
        part["metadata"] |= {"labels": {"sympozium.ai/instance": label}} | metadata
        self._as(account, "create", "-f-", stdin=json.dumps(part))
        return str(part["metadata"]["name"])

    def create_tool(self, account: str, **spec: Any) -> str:
        """Create a Tool; return its name. Raises Refused."""
        head: Object = {
            "apiVersion": "sympozium.ai/v1alpha1",
            "kind": "Tool",
            "metadata": {"name": f"t{secrets.token_hex(4)}"},
        }
        tool = head | {"spec": {"title": "Weather"} | spec}
        self._as(account, "create", "-f-", stdin=json.dumps(tool))
        return str(tool["metadata"]["name"])

    def patch(self, account: str, name: str, patch: Object, kind: str = "run") -> None:
        """Patch a run, or another object. Raises Refused."""
        self._as(account, "patch", kind, name, "--type=merge", "-p", json.dumps(patch))

    def write_status(self, account: str, run: str, **status: Any) -> None:
        """Patch a run's status, which kubectl would read first. Raises Refused."""
        path = f"apis/sympozium.ai/v1alpha1/namespaces/{self.namespace.name}/agentruns/{run}/status"
        headers = {"Content-Type": "application/merge-patch+json", "Authorization": f"Bearer {self._token(account)}"}
        answer = self._http.patch(path, content=json.dumps({"status": status}), headers=headers)
        if answer.is_error:
            raise Refused(answer.json()["message"])

    def _token(self, account: str) -> str:
        if account not in self._tokens:
            namespace, _, name = account.partition(":")
            self._tokens[account] = Namespace(namespace).kubectl("create", "token", name).strip()
        return self._tokens[account]

    def _as(self, account: str, *words: str, stdin: str | None = None) -> None:
        user = [] if account == ADMIN else [f"--as=system:serviceaccount:{account}"]
        self.namespace.kubectl(*words, *user, stdin=stdin)


def api_server() -> httpx2.Client:
    """A client of the API server without credentials of its own."""
    config = json.loads(Namespace("default").kubectl("config", "view", "--minify", "--raw", "--flatten", "-o", "json"))
    cluster = config["clusters"][0]["cluster"]
    authority = base64.b64decode(cluster["certificate-authority-data"]).decode()
    return httpx2.Client(base_url=cluster["server"], verify=ssl.create_default_context(cadata=authority), timeout=30)


ADMIN = ""
"""The account of these tests, a member of system:masters."""


@pytest.fixture(scope="module")
def accounts() -> Iterator[Accounts]:
    namespace = Namespace(f"e2e-{secrets.token_hex(3)}")
    space, *objects = role(namespace.name)
    namespace.apply(space)
    namespace.apply(*objects)
    with api_server() as http:
        found = Accounts(namespace, http)
        until(lambda: refuses_claims(found), within=30)  # policies take seconds to become effective
        yield found
    Namespace("default").delete("namespace", namespace.name, "--wait=false")


def refuses_claims(accounts: Accounts) -> bool:
    """True once the policies are effective."""
    try:
        accounts.create(accounts.tenant, claim=CLAIM)
    except Refused as error:
        return "spec.claim" in str(error)
    return False


@pytest.fixture
def run(accounts: Accounts) -> str:
    return accounts.create(accounts.tenant)


def server_run(accounts: Accounts) -> str:
    """The server run of the instance that does not exist, with the conditions that the operator gives it."""
    name = "absent-web-endpoint"
    if not any(run["metadata"]["name"] == name for run in accounts.namespace.list("runs")):
        spec = {"agentRef": "absent", "mode": "server"}
        accounts.namespace.apply(
            {"apiVersion": "sympozium.ai/v1alpha1", "kind": "AgentRun", "metadata": {"name": name}, "spec": spec}
        )
    until(lambda: "phase" in accounts.namespace.status("run", name), within=30)
    return name


class TestAgentRuns:
    """A right on AgentRuns."""

    def test_create_is_the_use_of_every_instance_of_the_namespace(self, accounts: Accounts) -> None:
        assert accounts.create(accounts.tenant, model={"baseURL": "http://elsewhere/v1"})

    def test_create_names_no_idle_pod(self, accounts: Accounts) -> None:
        for account in (accounts.tenant, accounts.other, CONSOLE, ADMIN):
            with pytest.raises(Refused):
                accounts.create(account, claim=CLAIM)

    def test_nobody_spends_the_budget_of_another_key(self, accounts: Accounts, run: str) -> None:
        """Tokens, shares of the queue and stored responses are those of the key id."""
        of_alice = {"sympozium.ai/key-id": "api-key-alice"}
        for account in (accounts.tenant, accounts.other, ADMIN):
            with pytest.raises(Refused, match=r"key-id is set and changed only|only runs of its own"):
                accounts.create(account, annotations=of_alice)
            with pytest.raises(Refused, match=r"key-id is set and changed only|only runs of its own"):
                accounts.patch(account, run, {"metadata": {"annotations": of_alice}})
        made = accounts.create(accounts.web_proxy, annotations=of_alice)
        with pytest.raises(Refused, match="key-id is set and changed only"):
            accounts.patch(accounts.tenant, made, {"metadata": {"annotations": {"sympozium.ai/key-id": None}}})
        accounts.patch(accounts.tenant, made, {"metadata": {"annotations": {"team": "sales"}}})

    def test_nobody_names_a_caller_and_no_web_proxy_another_one(self, accounts: Accounts) -> None:
        """By a caller's scopes, tools that write are allowed."""
        alice = {"user": "api-key-alice", "scopes": ["tools:write"]}
        for account in (accounts.tenant, ADMIN):
            with pytest.raises(Refused, match=r"spec\.caller is set only by the web-proxy"):
                accounts.create(account, caller=alice)
        of_bob = {"sympozium.ai/key-id": "api-key-bob"}
        for annotations in (of_bob, {}):
            with pytest.raises(Refused, match=r"spec\.caller\.user of a web-proxy's run is its key id"):
                accounts.create(accounts.web_proxy, annotations=annotations, caller=alice)
        made = accounts.create(accounts.web_proxy, annotations=of_bob, caller=alice | {"user": "api-key-bob"})
        with pytest.raises(Refused, match="immutable"):
            accounts.patch(accounts.web_proxy, made, {"spec": {"caller": {"scopes": ["tools:read"]}}})

    @pytest.mark.parametrize(
        "request_body",
        [
            {"messages": None, "prompt": "delete everything"},
            {"tools": [{"type": "function"}]},
            {"messages": [{"role": "user", "content": "other"}]},
        ],
    )
    def test_patch_changes_no_request(self, accounts: Accounts, run: str, request_body: Object) -> None:
        for account in (accounts.tenant, ADMIN):
            with pytest.raises(Refused, match="immutable"):
                accounts.patch(account, run, {"spec": {"request": request_body}})

    def test_patch_cancels(self, accounts: Accounts, run: str) -> None:
        accounts.patch(accounts.tenant, run, {"spec": {"cancel": True}})
        assert accounts.namespace.run_ends(run)["phase"] == "Cancelled"

    def test_patch_of_the_status_is_nobodys_but_ours(self, accounts: Accounts, run: str) -> None:
        for account in (accounts.tenant, accounts.other):
            with pytest.raises(Refused, match=r"is written only by|only runs of its own instance"):
                accounts.write_status(account, run, phase="Running")

    def test_a_terminal_status_keeps_its_open_objects(self, accounts: Accounts, run: str) -> None:
        details = {"system_fingerprint": "a"}
        choices = [{"index": 0, "message": {"role": "assistant", "content": "Hi"}}]
        accounts.write_status(OPERATOR, run, phase="Succeeded", details=details, choices=choices)
        other_field = {"system_fingerprint": None, "service_tier": "b"}  # as many fields, another one
        for change in ({"details": other_field}, {"choices": [{"index": 0, "added": 1}]}):
            for account in (OPERATOR, accounts.web_proxy, RUNS_SERVER):
                with pytest.raises(Refused, match="a terminal status never changes"):
                    accounts.write_status(account, run, **change)


class TestWebProxy:
    """The account of a web-proxy."""

    def test_creates_runs_of_its_own_instance(self, accounts: Accounts) -> None:
        assert accounts.create(accounts.web_proxy, model={"model": "large"}, claim=CLAIM)

    @pytest.mark.parametrize(
        ("changes", "message"),
        [
            ({"agentRef": "other"}, "of its own instance"),
            ({"labels": {}}, "the label sympozium.ai/instance"),
            ({"labels": {"sympozium.ai/instance": "other"}}, "the label sympozium.ai/instance"),
            ({"model": {"model": "m", "baseURL": "http://elsewhere/v1"}}, "only spec.model.model"),
            ({"model": {"authSecretRef": "any"}}, "only spec.model.model"),
            ({"model": {"provider": "other"}}, "only spec.model.model"),
            ({"model": {"providerRef": "other"}}, "only spec.model.model"),
            ({"mode": "server", "request": None}, "mode task"),
        ],
    )
    def test_creates_no_others(self, accounts: Accounts, changes: Object, message: str) -> None:
        with pytest.raises(Refused, match=message):
            accounts.create(accounts.web_proxy, **changes)

    def test_writes_runs_and_statuses_of_its_own_instance_only(self, accounts: Accounts, run: str) -> None:
        accounts.write_status(accounts.web_proxy, run, start="cold")
        accounts.patch(accounts.web_proxy, run, {"metadata": {"annotations": {"sympozium.ai/discarded": "true"}}})
        with pytest.raises(Refused, match="of its own instance"):
            accounts.patch(accounts.other, run, {"spec": {"cancel": True}})
        with pytest.raises(Refused, match="label"):
            accounts.patch(accounts.web_proxy, run, {"metadata": {"labels": {"sympozium.ai/instance": "other"}}})

    def test_of_its_server_run_writes_only_the_results_of_checks(self, accounts: Accounts) -> None:
        server_run(accounts)
        result = {"target": "t", "reachable": True, "reason": "Answered", "message": "m"}
        accounts.write_status(accounts.web_proxy, "absent-web-endpoint", probes={"model": result})
        with pytest.raises(Refused, match=r"but for status\.probes"):
            accounts.write_status(accounts.web_proxy, "absent-web-endpoint", phase="Serving")
        with pytest.raises(Refused, match=r"of its own instance|is written only by"):
            accounts.write_status(accounts.other, "absent-web-endpoint", probes={"issuer": result})
        with pytest.raises(Refused, match="cannot be cancelled"):
            accounts.patch(accounts.web_proxy, "absent-web-endpoint", {"spec": {"cancel": True}})

    def test_writes_only_its_own_report_of_a_server_run(self, accounts: Accounts) -> None:
        server = server_run(accounts)
        usage = {"day": "2026-11-28", "tokens": {"api-key": 5}}
        accounts.write_status(accounts.web_proxy, server, keyUsage=usage)
        for status in ({"phase": "Failed"}, {"result": "x"}, {"keyUsage": usage, "conditions": None}):
            with pytest.raises(Refused, match=r"but for status\.probes"):
                accounts.write_status(accounts.web_proxy, server, **status)
        with pytest.raises(Refused):
            accounts.write_status(accounts.other, server, keyUsage=usage)

    def test_of_another_namespace_writes_nothing(self, accounts: Accounts, run: str) -> None:
        with pytest.raises(Refused):
            accounts.patch("default:absent-web-endpoint", run, {"spec": {"cancel": True}})


class TestParts:
    """AgentRunParts, which hold what a run cannot."""

    def test_a_web_proxy_writes_those_of_its_own_instance(self, accounts: Accounts, run: str) -> None:
        accounts.create_part(accounts.web_proxy, run)

    def test_nobody_else_does(self, accounts: Accounts, run: str) -> None:
        for account in (accounts.other, ADMIN, OPERATOR):
            with pytest.raises(Refused, match=r"only by the web-proxy of the instance|cannot create resource"):
                accounts.create_part(account, run)

    @pytest.mark.parametrize("account", [RUNS_SERVER, CONSOLE])
    def test_the_runs_server_and_the_console_write_answers_only(
        self, accounts: Accounts, run: str, account: str
    ) -> None:
        accounts.create_part(account, run, text="answer")
        with pytest.raises(Refused, match="only answers"):
            accounts.create_part(account, run)

    def test_a_name_of_another_instance_is_refused(self, accounts: Accounts, run: str) -> None:
        with pytest.raises(Refused, match="begins with its instance"):
            accounts.create_part(accounts.other, run, label="other")

    def test_a_part_that_no_run_owns_is_refused(self, accounts: Accounts, run: str) -> None:
        with pytest.raises(Refused, match="owned by one AgentRun"):
            accounts.create_part(accounts.web_proxy, run, ownerReferences=[])

    def test_a_part_is_immutable_and_goes_with_its_run(self, accounts: Accounts, run: str) -> None:
        part = accounts.create_part(accounts.web_proxy, run)
        with pytest.raises(Refused, match="immutable"):
            accounts.namespace.patch("agentrunpart", part, {"spec": {"data": "y"}})
        accounts.namespace.delete("run", run)
        until(lambda: not accounts.namespace.kubectl("get", "agentrunpart", part, "--ignore-not-found"), within=30)


class TestRunsServer:
    """The runs server's account."""

    def test_writes_only_terminal_statuses(self, accounts: Accounts, run: str) -> None:
        with pytest.raises(Refused, match="only terminal statuses"):
            accounts.write_status(RUNS_SERVER, run, phase="Running")
        accounts.write_status(RUNS_SERVER, run, **ENDED)

    def test_writes_nothing_else_of_a_run(self, accounts: Accounts, run: str) -> None:
        with pytest.raises(Refused, match="cannot patch resource"):
            accounts.patch(RUNS_SERVER, run, {"spec": {"cancel": True}})


class TestConsole:
    """The console's account."""

    def test_cancels_and_changes_nothing_else_of_a_run(self, accounts: Accounts, run: str) -> None:
        for metadata in ({"labels": {"sympozium.ai/instance": "other"}}, {"annotations": {"sympozium.ai/key-id": "k"}}):
            with pytest.raises(Refused, match=r"only spec\.cancel|key-id"):
                accounts.patch(CONSOLE, run, {"metadata": metadata})
        accounts.patch(CONSOLE, run, {"spec": {"cancel": True}})

    def test_creates_runs_that_name_neither_a_pod_nor_a_model_server_nor_a_key_of_a_web_endpoint(
        self, accounts: Accounts
    ) -> None:
        caller = {"user": "ci", "scopes": ["tools:write"]}
        accounts.create(CONSOLE, model={"model": "m"}, caller=caller, annotations={"sympozium.ai/key-id": "token-ci"})
        for field in ({"provider": "x"}, {"baseURL": "http://example.com"}, {"authSecretRef": "a-secret"}):
            with pytest.raises(Refused, match=r"only spec\.model\.model"):
                accounts.create(CONSOLE, model={"model": "m"} | field)
        with pytest.raises(Refused, match=r"spec\.claim"):
            accounts.create(CONSOLE, claim=CLAIM)
        with pytest.raises(Refused):
            accounts.create(CONSOLE, mode="server", request=None)
        for key in ("api-key", "api-key-ci", "oauth-0123456789abcdef"):
            with pytest.raises(Refused, match="key-id"):
                accounts.create(CONSOLE, annotations={"sympozium.ai/key-id": key})

    def test_alone_makes_turns_of_sessions(self, accounts: Accounts, run: str) -> None:
        turn = {"sympozium.ai/instance": "absent", "sympozium.ai/session": "0" * 32}
        accounts.create(CONSOLE, labels=turn)
        for account in (accounts.web_proxy, accounts.tenant):
            with pytest.raises(Refused, match=r"sympozium\.ai/session is set only by the console"):
                accounts.create(account, labels=turn)
        with pytest.raises(Refused, match=r"sympozium\.ai/session is set only by the console"):
            accounts.patch(accounts.tenant, run, {"metadata": {"labels": turn}})

    def test_records_the_newest_attempt_of_an_idempotency_key_and_discards_a_second_one(
        self, accounts: Accounts, run: str
    ) -> None:
        for annotation in ({"sympozium.ai/newest-attempt": "1"}, {"sympozium.ai/discarded": "true"}):
            accounts.patch(CONSOLE, run, {"metadata": {"annotations": annotation}})
        with pytest.raises(Refused, match=r"only spec\.cancel"):
            accounts.patch(CONSOLE, run, {"metadata": {"annotations": {"sympozium.ai/reply-to": "http://x"}}})

    def test_sends_no_secret_of_others_to_a_server_of_a_callers_choice(self, accounts: Accounts) -> None:
        own = {"url": "https://a.example.com/v1", "auth": "apiKey", "secretRef": "own-key"}
        with pytest.raises(Refused, match="gives a Tool no secretRef"):
            accounts.create_tool(CONSOLE, webhook=own)
        name = accounts.create_tool(ADMIN, webhook=own)
        accounts.patch(CONSOLE, name, {"spec": {"webhook": {"url": "https://a.example.com/v2"}}}, kind="tool")
        for change in ({"url": "https://b.example.com/v1"}, {"secretRef": "another"}, {"headers": {"x": "y"}}):
            with pytest.raises(Refused, match="gives a Tool no secretRef"):
                accounts.patch(CONSOLE, name, {"spec": {"webhook": change}}, kind="tool")
        moved = {"url": "https://b.example.com/v1", "secretRef": None}
        accounts.patch(CONSOLE, name, {"spec": {"webhook": moved}}, kind="tool")

    def test_writes_only_terminal_statuses_and_the_start_of_a_run_that_a_pod_gives_back(
        self, accounts: Accounts, run: str
    ) -> None:
        for status in ({"phase": "Running"}, {"start": "warm"}, {"start": "cold", "result": "x"}):
            with pytest.raises(Refused, match="only terminal statuses"):
                accounts.write_status(CONSOLE, run, **status)
        accounts.write_status(CONSOLE, run, start="cold")
        accounts.write_status(CONSOLE, run, **ENDED)

    def test_writes_no_status_of_a_server_run(self, accounts: Accounts) -> None:
        with pytest.raises(Refused, match="written only by the operator"):
            accounts.write_status(CONSOLE, server_run(accounts), **ENDED)
