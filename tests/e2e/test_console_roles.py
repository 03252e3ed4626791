"""The sign-in at the console's pages, and the four ClusterRoles for people: each account may do what its role says, and nothing else."""

import re
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import httpx2
import pytest
from tests.e2e.conftest import LONGEST, Namespace, Object, agent_run, until
from tests.e2e.consoles import Console
from tests.e2e.test_callers import AUDIENCE

ROLES = ("viewer", "reader", "editor", "admin")
RUN = "run-of-roles"
QUESTION = "What may each of us do?"
SAME_SITE = {"Sec-Fetch-Site": "same-origin"}
PROBES: tuple[tuple[str, str, dict[str, str], str], ...] = (
    ("GET", "instances", {}, "list sympoziuminstances"),
    ("GET", "instances/quiet", {}, "get sympoziuminstances"),
    ("PATCH", "instances/quiet", {"dryRun": "All"}, "patch sympoziuminstances"),
    ("DELETE", "instances/absent", {}, "delete sympoziuminstances"),
    ("GET", "skills", {}, "list skillpacks"),
    ("GET", "runs", {}, "list agentruns/summary"),
    ("GET", f"runs/{RUN}", {}, "get agentruns/summary"),
    ("GET", f"runs/{RUN}/logs", {}, "get pods/log"),
    ("POST", "runs", {}, "create agentruns"),
    ("POST", "runs/absent/cancel", {}, "patch agentruns"),
    ("DELETE", "runs/absent", {}, "delete agentruns"),
    ("GET", "audit", {}, "list audits"),
    ("GET", "api-keys", {}, "list apikeys"),
    ("DELETE", "api-keys/absent", {}, "delete apikeys"),
)
"""Requests that change nothing, and the right that each of them takes. The POST names an instance that is not there."""


@dataclass(frozen=True)
class Person:
    """Somebody with one of the roles in one namespace, signed in at the pages."""

    role: str
    namespace: str
    rules: list[Object]
    browser: httpx2.Client

    def has(self, right: str) -> bool:
        """Return true if the role has a right."""
        verb, resource = right.split()
        return any(verb in rule["verbs"] and resource in rule["resources"] for rule in self.rules)

    def sees_instances(self) -> bool:
        """Return true once the right to list instances, which each role has, counts."""
        params = {"namespace": self.namespace}
        return self.browser.get("/api/v1/instances", params=params).status_code == 200

    def page(self, path: str, status: int = 200) -> str:
        """Return a page of the console."""
        answer = self.browser.get(path)
        assert answer.status_code == status, f"{self.role}: {path} has {answer.status_code}"
        return answer.text


@pytest.fixture(scope="module")
def console_url() -> Iterator[str]:
    """The console as ``kubectl port-forward`` serves it: by plain http a session begins at the loopback interface only."""
    words = ("kubectl", "-n", "sympozium-system", "port-forward", "service/sympozium-console", ":8080")
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as forward:
        assert forward.stdout
        line = forward.stdout.readline()
        [port] = re.findall(r"127\.0\.0\.1:(\d+)", line)
        yield f"http://localhost:{port}"
        forward.terminate()


def token_of(namespace: Namespace, account: str, audience: str = AUDIENCE) -> str:
    return namespace.kubectl("create", "token", account, "--audience", audience, "--duration", "10m").strip()


def sign_in(browser: httpx2.Client, token: str) -> httpx2.Response:
    return browser.post("/login?next=/about", data={"token": token}, headers=SAME_SITE)


@pytest.fixture(scope="module")
def people(namespace: Namespace, console_url: str) -> Iterator[Mapping[str, Person]]:
    """Somebody in each role, signed in by the form."""
    namespace.apply(agent_run(RUN, agentRef="quiet", task=QUESTION))
    namespace.run_ends(RUN)
    found: dict[str, Person] = {}
    for role in ROLES:
        account, name = f"a-{role}", f"sympozium-{role}"
        namespace.kubectl("create", "serviceaccount", account)
        bound = f"--serviceaccount={namespace.name}:{account}"
        namespace.kubectl("create", "rolebinding", account, f"--clusterrole={name}", bound)
        rules = namespace.get("clusterrole", name)["rules"]
        browser = httpx2.Client(base_url=console_url, timeout=LONGEST)
        answer = sign_in(browser, token_of(namespace, account))
        assert (answer.status_code, answer.headers.get("location")) == (303, "/about"), answer.text
        found[role] = Person(role, namespace.name, rules, browser)
    for person in found.values():  # API servers know a new RoleBinding a moment later
        until(lambda person=person: person.sees_instances(), within=10)  # type: ignore[misc]
    yield found
    for person in found.values():
        person.browser.close()


def test_a_sign_in_takes_a_token_for_the_console_and_its_cookie_ends_with_the_sign_out(
    people: Mapping[str, Person], namespace: Namespace, console_url: str
) -> None:
    with httpx2.Client(base_url=console_url, timeout=LONGEST) as stranger:
        answer = stranger.get("/instances")
        assert (answer.status_code, answer.headers["location"]) == (303, "/login?next=%2Finstances")
        for wrong in ("nonsense", token_of(namespace, "a-viewer", "sympozium-runs")):
            answer = sign_in(stranger, wrong)
            assert (answer.status_code, "You are not signed in." in answer.text) == (401, True)
        assert sign_in(stranger, token_of(namespace, "a-viewer")).status_code == 303
        assert f"system:serviceaccount:{namespace.name}:a-viewer" in stranger.get("/about").text
        assert stranger.post("/logout", headers=SAME_SITE).status_code == 303
        assert stranger.get("/about").status_code == 303


def test_without_the_browsers_word_for_it_no_cookie_writes(people: Mapping[str, Person]) -> None:
    path, query = "/api/v1/instances/quiet", {"namespace": people["admin"].namespace, "dryRun": "All"}
    for headers in ({}, {"Sec-Fetch-Site": "cross-site"}, {"Origin": "https://evil.example.com"}):
        answer = people["admin"].browser.patch(path, params=query, json={"title": "x"}, headers=headers)
        assert answer.status_code == 403, answer.text


@pytest.mark.parametrize("role", ROLES)
def test_a_role_may_do_what_its_rules_say(people: Mapping[str, Person], role: str) -> None:
    person = people[role]
    wrong = []
    for method, path, query, right in PROBES:
        body = {"agentRef": "absent", "task": "x"} if method == "POST" and path == "runs" else {}
        answer = person.browser.request(
            method,
            f"/api/v1/{path}",
            params={"namespace": person.namespace} | query,
            json=None if method == "GET" else body,
            headers=SAME_SITE,
        )
        if (answer.status_code == 403) is person.has(right) or answer.status_code >= 500:
            wrong.append(f"{method} {path} takes {right}: {answer.status_code}")
    assert wrong == []
    for path in ("instances", "runs", "api-keys"):
        assert person.browser.get(f"/api/v1/{path}", params={"namespace": "default"}).status_code == 403


@pytest.mark.parametrize("role", ROLES)
def test_pages_show_what_a_role_may_read_and_why_a_button_is_off(people: Mapping[str, Person], role: str) -> None:
    person = people[role]
    of_instance = f"/instances/{person.namespace}/quiet"
    assert "quiet" in person.page(f"/instances?namespace={person.namespace}")
    run = person.page(f"/runs/{person.namespace}/{RUN}")
    assert (QUESTION in run) is person.has("get agentruns")
    tab = person.page(f"{of_instance}/web-endpoint")
    assert ("This takes the right to patch sympoziuminstances.sympozium.ai" in tab) is not person.has(
        "patch sympoziuminstances"
    )
    assert person.has("create agentruns") is (
        person.browser.post(f"{of_instance}/chat", data={}, headers=SAME_SITE).status_code != 403
    )
    assert "You may not see this" in person.page("/instances/default/quiet/overview", 403)
    assert "You may not see this" in person.page("/config", 403)


def test_the_token_of_the_installation_sees_every_namespace(system: Namespace, console_url: str) -> None:
    installation = Console(system, "default")
    token = installation.use_token(system)
    installation.http.close()
    with httpx2.Client(base_url=console_url, timeout=LONGEST) as browser:
        assert sign_in(browser, token).status_code == 303
        assert "sympozium-system" in browser.get("/config").text
