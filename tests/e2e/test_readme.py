"""README and the guide of operations, followed word by word by somebody whose cluster has a demo on it already."""

import os
import re
import secrets
import subprocess
from pathlib import Path

import pytest
from tests.e2e.conftest import Endpoint, Namespace, instance, until

ROOT = Path(__file__).parents[2]
FORWARDED = "until curl -s -o /dev/null http://127.0.0.1:18080/healthz; do sleep 0.2; done"
"""What a person waits for before the next command."""


def blocks(page: str) -> list[str]:
    """Return the shell blocks of a page, those within lists too."""
    found = re.findall(r"^( *)```sh\n(.*?)^ *```", (ROOT / page).read_text(), re.DOTALL | re.MULTILINE)
    return [re.sub(f"^{indent}", "", block, flags=re.MULTILINE) for indent, block in found]


def step(beginning: str, page: str = "README.md") -> str:
    """Return the only block of a page that begins so."""
    [found] = [block for block in blocks(page) if block.startswith(beginning)]
    return found


class Shell:
    """Shell in a new user's folder, with the namespace of the test as the current one."""

    def __init__(self, folder: Path, kubeconfig: str) -> None:
        (folder / "examples").symlink_to(ROOT / "examples")
        self._folder = folder
        self._environ = os.environ | {"KUBECONFIG": kubeconfig}

    def __call__(self, *blocks: str) -> str:
        """Run blocks in one shell, end what they left running, and return what they printed."""
        script = "\n".join(("trap 'kill $(jobs -p) 2>/dev/null || true' EXIT", *blocks))
        command = ["bash", "-euo", "pipefail", "-c", script]
        done = subprocess.run(
            command, cwd=self._folder, env=self._environ, text=True, capture_output=True, check=False, timeout=500
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def asks(self) -> str:
        """Return the answer to the README's question, with the key that the cluster has."""
        return self(step("kubectl port-forward service/assistant"), FORWARDED, step("curl -N"))


@pytest.fixture(scope="module")
def assistant(namespace: Namespace, tmp_path_factory: pytest.TempPathFactory) -> Shell:
    """The instance of the README's step 4, with the example that it names for a cluster with a demo."""
    folder = tmp_path_factory.mktemp("shell")
    shell = Shell(folder, namespace.kubeconfig(folder))
    secret, rest = step("kubectl create secret generic openai").split("\n", 1)
    assert secret.endswith("OPENAI_API_KEY=$OPENAI_API_KEY")  # the only line that the demo's model does not need
    shell(rest.replace("examples/instance.yaml", "examples/instance-demo-model.yaml"))
    return shell


def test_the_readme_leads_to_an_answer(assistant: Shell) -> None:
    told = assistant.asks()
    assert '"role":"assistant"' in told
    assert told.endswith("data: [DONE]\n\n")


def test_a_tool_of_the_readme_is_called_once_the_model_can_call_tools(assistant: Shell, namespace: Namespace) -> None:
    """The demo's model cannot, and answers by itself; the scripted one calls what the question names."""
    question = step("curl -sN")
    try:
        assert "True" in assistant(step("kubectl create namespace webhooks"))
        assert "data: [DONE]" in assistant(step("kubectl port-forward service/assistant"), FORWARDED, question)
        model = {"baseURL": "http://model:8080/v1", "model": "calls"}
        namespace.patch("instance", "assistant", {"spec": {"agents": {"default": model}}})
        endpoint = Endpoint(namespace, "assistant")
        until(lambda: '"calls"' in endpoint.http.get("/v1/models").text, within=10)
        asked = question.replace("What is the weather in Oslo?", '[[Weather {\\"city\\": \\"Oslo\\"}]]')
        told = assistant(step("kubectl port-forward service/assistant"), FORWARDED, asked)
        endpoint.close()
    finally:
        Namespace("default").delete("namespace", "webhooks", "--wait=false")
        assistant("kubectl apply -f examples/instance-demo-model.yaml")
    assert ": tool Weather started" in told
    assert "celsius" in told
    assert "asked for {'city': 'Oslo'}" in told


def test_what_was_backed_up_is_restored_with_its_keys(assistant: Shell, namespace: Namespace) -> None:
    page = "docs/guides/operations.md"
    assistant(step("kubectl get instances,skillpacks", page))
    read = "kubectl get secret assistant-web-endpoint-web-api-key -o go-template='{{index .data \"api-key\"}}'"
    key = assistant(read)
    namespace.delete("instance", "assistant")
    until(lambda: not namespace.list("deployments", "-l", "sympozium.ai/instance=assistant"), within=60)
    assistant(step("kubectl apply -f instances.yaml", page))
    assert assistant(read) == key
    Endpoint(namespace, "assistant").serves()
    until(lambda: assistant.asks().endswith("data: [DONE]\n\n"), within=90)


def test_a_namespace_goes_in_seconds_once_its_pods_are_gone() -> None:
    """With a web-proxy's pod in it, Kubernetes would wait for half of that pod's grace period, ten minutes."""
    name = f"e2e-{secrets.token_hex(3)}"
    namespace = Namespace(name)
    namespace.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    namespace.apply(instance("leaving", webEndpoint={"enabled": True}))
    until(lambda: namespace.status("instance", "leaving").get("phase") == "Serving", within=120)
    block = step("kubectl delete instances --all").replace("team-a", name)
    subprocess.run(["bash", "-euo", "pipefail", "-c", block], check=True, capture_output=True, timeout=240)
