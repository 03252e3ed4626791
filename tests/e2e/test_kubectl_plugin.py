"""``kubectl sympozium`` on the cluster: each command, its exit code and its output; and the guide, word by word."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.e2e.conftest import Endpoint, Namespace, Refused, agent_run, instance, until
from tests.e2e.test_clients import TEXT

ROOT = Path(__file__).parents[2]
READER = [
    {"apiGroups": ["sympozium.ai"], "resources": ["*"], "verbs": ["get", "list", "watch"]},
    {"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list"]},
]


@dataclass(frozen=True)
class Done:
    """The end of a command."""

    code: int
    out: str
    err: str


@dataclass(frozen=True)
class Plugin:
    """A shell whose PATH has the plugin, and whose current namespace is the test's."""

    environ: dict[str, str]

    def __call__(self, *words: str, stdin: str = "") -> Done:
        command = ["kubectl", "sympozium", *words]
        done = subprocess.run(
            command, env=self.environ, input=stdin, capture_output=True, text=True, check=False, timeout=300
        )
        return Done(done.returncode, done.stdout, done.stderr)

    def json(self, *words: str) -> Any:
        done = self(*words, "-o", "json")
        assert done.code == 0, done.err
        return json.loads(done.out)


def plugin_in(namespace: Namespace, folder: Path) -> Plugin:
    """Put the plugin's programs into a folder, and return a shell with them."""
    for program, module in {"kubectl-sympozium": "", "kubectl_complete-sympozium": ".kubectl_completion"}.items():
        start = f"from sympozium_cli{module or '.__main__'} import main; main()"
        (folder / program).write_text(f'#!/bin/sh\nexec {sys.executable} -c "{start}" "$@"\n')
        (folder / program).chmod(0o755)
    path = f"{folder}:{os.environ['PATH']}"
    return Plugin(os.environ | {"PATH": path, "KUBECONFIG": namespace.kubeconfig(folder)})


@pytest.fixture(scope="module")
def plugin(namespace: Namespace, tmp_path_factory: pytest.TempPathFactory) -> Plugin:
    return plugin_in(namespace, tmp_path_factory.mktemp("plugin"))


@pytest.fixture(scope="module")
def reader(namespace: Namespace) -> Iterator[str]:
    """A user who may read, and nothing else."""
    user = f"reader-of-{namespace.name}"
    group = "rbac.authorization.k8s.io"
    named = {"apiVersion": f"{group}/v1", "metadata": {"name": "plugin-reader"}}
    subject = {"kind": "User", "name": user, "apiGroup": group}
    namespace.apply(
        named | {"kind": "Role", "rules": READER},
        named
        | {
            "kind": "RoleBinding",
            "subjects": [subject],
            "roleRef": {"apiGroup": group, "kind": "Role", "name": "plugin-reader"},
        },
    )
    until(lambda: may(namespace, user, "list", "agentruns.sympozium.ai"), within=10)
    yield user
    namespace.delete("rolebinding", "plugin-reader")


def may(namespace: Namespace, user: str, *right: str) -> bool:
    """Return true if a user has a right: API servers know a changed Role a moment later."""
    with suppress(Refused):
        return "yes" in namespace.kubectl("auth", "can-i", *right, "--as", user)
    return False


def test_the_guide_switches_an_agent_on_asks_it_and_switches_it_off(
    plugin: Plugin, namespace: Namespace, tmp_path: Path
) -> None:
    page = (ROOT / "docs/guides/kubectl-plugin.md").read_text()
    blocks = re.findall(r"^```sh\n(.*?)^```", page, re.DOTALL | re.MULTILINE)
    namespace.apply(instance("assistant", skills=[{"configMapRef": "house-rules"}]))
    namespace.apply(
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "house-rules"}, "data": {"a.md": "Be kind."}}
    )
    script = "\n".join([*blocks, "cat answer.txt"])
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=tmp_path, env=plugin.environ, capture_output=True, text=True, check=False, timeout=500,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0] == "sympoziuminstance.sympozium.ai/assistant enabled"
    assert lines[1] == TEXT
    assert lines[2].startswith("http://assistant-web-endpoint-server.")
    assert lines[3].startswith("sk-")
    assert "sympoziuminstance.sympozium.ai/assistant disabled" in lines
    assert lines[-1] == TEXT
    assert done.stdout.count("Succeeded") >= 1
    spec = namespace.get("instance", "assistant")["spec"]
    assert (spec["skills"], spec["webEndpoint"]["enabled"]) == ([{"configMapRef": "house-rules"}], False)
    until(lambda: namespace.status("instance", "assistant")["phase"] == "Running", within=30)
    namespace.delete("instance", "assistant", "--wait=false")


def test_runs_are_kubectls_objects_and_filters_are_the_api_servers(plugin: Plugin, chat: Endpoint) -> None:
    chat.namespace.run_ends(chat.chat().headers["x-sympozium-run"])
    listed = plugin.json("runs", "--instance", chat.instance)
    crd = yaml.safe_load((ROOT / "crds/sympozium.ai_agentruns.yaml").read_text())
    known = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]
    assert (listed["kind"], {item["kind"] for item in listed["items"]}) == ("List", {"AgentRun"})
    for item in listed["items"]:
        assert set(item) <= set(known)
        assert set(item["spec"]) <= set(known["spec"]["properties"])
        assert set(item.get("status", {})) <= set(known["status"]["properties"])
    names = [item["metadata"]["name"] for item in listed["items"]]
    assert plugin("runs", "--instance", chat.instance, "-o", "name").out.split() == [
        f"agentrun.sympozium.ai/{name}" for name in names
    ]
    succeeded = plugin("runs", "--instance", chat.instance, "--phase", "Succeeded", "-o", "wide").out.splitlines()
    assert len(succeeded) > 1
    assert all(" Succeeded " in line for line in succeeded[1:])
    assert yaml.safe_load(plugin("runs", "--since", "1s", "--phase", "Failed", "-o", "yaml").out)["items"] == []


def use_model(namespace: Namespace, script: str) -> None:
    """Point the instance ``quiet`` at another script of the model, and wait until the operator knows that."""
    namespace.patch("instance", "quiet", {"spec": {"agents": {"default": {"model": script}}}})

    def is_observed() -> bool:
        body = namespace.get("instance", "quiet")
        return bool(body.get("status", {}).get("observedGeneration") == body["metadata"]["generation"])

    until(is_observed, within=30)


def test_a_failed_run_has_its_reason_and_its_log(plugin: Plugin, namespace: Namespace) -> None:
    use_model(namespace, "status:500")
    try:
        done = plugin("run", "quiet", "hello", "--wait")
    finally:
        use_model(namespace, "instant")
    assert (done.code, done.out) == (1, "")
    assert "did not succeed: model_error: " in done.err
    [name] = re.findall(r"agentrun\.sympozium\.ai/(\S+) created", done.err)
    log = plugin("logs", name)
    assert log.code == 0, log.err
    assert log.out
    assert "has ended already: Failed" in plugin("cancel", name).err
    assert plugin("logs", "chat-web-endpoint", "--tail", "1").code in (0, 1)  # it has a pod if another test made it
    assert plugin("logs", "nothing").code == 1


def test_a_run_that_works_is_followed_and_cancelled(plugin: Plugin, namespace: Namespace) -> None:
    namespace.apply(agent_run("plugin-slow", task="hello", model={"model": "hang"}))
    until(lambda: namespace.status("run", "plugin-slow").get("podName"), within=60)
    with subprocess.Popen(
        ["kubectl", "sympozium", "logs", "plugin-slow", "-f"], env=plugin.environ, stdout=subprocess.PIPE, text=True
    ) as following:
        assert plugin("cancel", "plugin-slow").out == "agentrun.sympozium.ai/plugin-slow cancelled\n"
        assert namespace.run_ends("plugin-slow")["phase"] == "Cancelled"
        following.communicate(timeout=300)  # the log ends with its pod
    repeated = plugin("repeat", "plugin-slow", "-o", "name").out.strip().rpartition("/")[2]
    assert namespace.get("run", repeated)["spec"]["model"] == {"model": "hang"}
    assert plugin("cancel", repeated).code == 0


def test_a_reader_asks_nothing_and_changes_nothing(plugin: Plugin, chat: Endpoint, reader: str) -> None:
    assert plugin("runs", "--as", reader).code == 0
    for words in (
        ("disable", chat.instance),
        ("chat", chat.instance, "hello"),
        ("key", chat.instance),
        ("runs", "-A"),
    ):
        done = plugin(*words, "--as", reader)
        assert (done.code, done.out) == (4, ""), done
        assert f'User "{reader}" cannot ' in done.err
    findings = {finding["check"]: finding for finding in json.loads(plugin("doctor", "--as", reader, "-o", "json").out)}
    assert findings["operator"]["state"] == "unknown"
    assert "update sympoziuminstances (enable, disable)" in findings["rights"]["detail"]


def test_without_the_key_a_chat_is_a_run_of_the_users(plugin: Plugin, namespace: Namespace, reader: str) -> None:
    rules = [*READER, {"apiGroups": ["sympozium.ai"], "resources": ["agentruns"], "verbs": ["create", "patch"]}]
    namespace.patch("role", "plugin-reader", {"rules": rules})
    until(lambda: may(namespace, reader, "create", "agentruns.sympozium.ai"), within=10)
    try:
        done = plugin("chat", "quiet", "-", "--as", reader, stdin="hello\n")
    finally:
        namespace.patch("role", "plugin-reader", {"rules": READER})
    assert (done.code, done.out) == (0, f"{TEXT}\n"), done.err
    assert "the question is a run of its own" in done.err


def test_the_installation_of_the_tests_is_well(plugin: Plugin) -> None:
    done = plugin("doctor", "-o", "json")
    states = {finding["check"]: finding["state"] for finding in json.loads(done.out)}
    assert {states[check] for check in ("cluster", "kinds", "operator", "lease", "images", "rights")} == {"ok"}, (
        done.out
    )
    assert done.code == 0


def test_every_kubeconfig_of_kubectl_works(plugin: Plugin, namespace: Namespace, tmp_path: Path) -> None:
    """One with an exec plugin, which hands out the token of a service account."""
    namespace.apply({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "plugin-exec"}})
    token = namespace.kubectl("create", "token", "plugin-exec").strip()
    config = json.loads(Path(namespace.kubeconfig(tmp_path)).read_text())
    credential = {"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential", "status": {"token": token}}
    (tmp_path / "credential").write_text(json.dumps(credential))
    config["users"][0]["user"] = {
        "exec": {
            "apiVersion": "client.authentication.k8s.io/v1",
            "command": "cat",
            "args": [str(tmp_path / "credential")],
            "interactiveMode": "Never",
        }
    }
    file = tmp_path / "exec"
    file.write_text(json.dumps(config))
    done = plugin("runs", "--kubeconfig", str(file))
    assert (done.code, f"system:serviceaccount:{namespace.name}:plugin-exec" in done.err) == (4, True), done.err
    config["users"][0]["user"]["exec"] |= {"command": "sh", "args": ["-c", "echo log in first >&2; exit 1"]}
    file.write_text(json.dumps(config))
    done = plugin("runs", "--kubeconfig", str(file))
    assert (done.code, "log in first" in done.err) == (3, True), done.err


def test_a_cluster_that_is_away_and_a_context_that_does_not_exist_end_with_three(
    plugin: Plugin, namespace: Namespace, tmp_path: Path
) -> None:
    config = json.loads(Path(namespace.kubeconfig(tmp_path)).read_text())
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        config["clusters"][0]["cluster"]["server"] = f"https://127.0.0.1:{free.getsockname()[1]}"
    file = tmp_path / "away"
    file.write_text(json.dumps(config))
    for words in (("runs", "-w"), ("chat", "x", "hello")):
        done = plugin(*words, "--kubeconfig", str(file))
        assert (done.code, done.out) == (3, ""), done
        assert "connection refused" in done.err
    assert "does not exist" in plugin("runs", "--context", "nowhere").err


def test_interrupts_and_closed_pipes_leave_nothing_behind(plugin: Plugin, namespace: Namespace) -> None:
    words = ["env", "--default-signal=INT", sys.executable, "-m", "sympozium_cli", "runs", "-w"]  # jobs ignore it
    with subprocess.Popen(words, env=plugin.environ, stdout=subprocess.PIPE, text=True) as watching:
        assert watching.stdout
        assert watching.stdout.readline().startswith("NAME")
        watching.send_signal(signal.SIGINT)
        assert watching.wait(300) == 130
    pipe = "kubectl sympozium runs -A -o json | head -c 10 >/dev/null; echo ${PIPESTATUS[0]}"
    done = subprocess.run(["bash", "-c", pipe], env=plugin.environ, capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("0\n", "")


def test_kubectl_completes_the_names_of_instances(plugin: Plugin, namespace: Namespace) -> None:
    done = subprocess.run(
        ["kubectl", "__complete", "sympozium", "chat", "qui"],
        env=plugin.environ,
        capture_output=True,
        text=True,
        check=True,
    )
    assert "quiet" in done.stdout.splitlines()
