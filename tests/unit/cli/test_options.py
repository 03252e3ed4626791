from pathlib import Path

import pytest

from sympozium_cli.options import CurrentContext, KubectlOptions, current_context


def kubeconfig(file: Path, current: str, **namespaces: str) -> Path:
    contexts = "".join(
        f"- name: {name}\n  context: {{cluster: c{f', namespace: {space}' if space else ''}}}\n"
        for name, space in namespaces.items()
    )
    file.write_text(f"current-context: {current}\ncontexts:\n{contexts}")
    return file


def test_the_current_context_and_its_namespace_are_those_of_the_kubeconfig(tmp_path: Path) -> None:
    file = kubeconfig(tmp_path / "a", "work", home="", work="team-a")
    environment = {"KUBECONFIG": str(file)}
    assert current_context(KubectlOptions(), environment) == CurrentContext("work", "team-a", ("home", "work"))
    assert current_context(KubectlOptions(context="home"), environment) == CurrentContext(
        "home", "default", ("home", "work")
    )
    assert current_context(KubectlOptions(kubeconfig=str(file)), {}) == CurrentContext(
        "work", "team-a", ("home", "work")
    )


def test_of_several_kubeconfigs_the_first_that_names_a_thing_counts(tmp_path: Path) -> None:
    first = kubeconfig(tmp_path / "a", "", one="first")
    second = kubeconfig(tmp_path / "b", "two", one="second", two="team-b")
    environment = {"KUBECONFIG": f"{first}:{tmp_path / 'none'}:{second}"}
    assert current_context(KubectlOptions(), environment) == CurrentContext("two", "team-b", ("one", "two"))
    assert current_context(KubectlOptions(context="one"), environment) == CurrentContext("one", "first", ("one", "two"))


@pytest.mark.parametrize("text", ["", "[]", "\x00", "contexts: [", "contexts: null"])
def test_a_file_that_is_no_kubeconfig_is_left_to_kubectls_own_words(text: str, tmp_path: Path) -> None:
    file = tmp_path / "config"
    file.write_text(text)
    assert current_context(KubectlOptions(), {"KUBECONFIG": str(file)}) == CurrentContext("", "default")


def test_options_behind_a_command_win_over_those_before_it() -> None:
    outer = KubectlOptions(namespace="a", context="c", impersonate="eve")
    assert KubectlOptions(namespace="b").over(outer) == KubectlOptions(namespace="b", context="c", impersonate="eve")
    assert KubectlOptions(kubeconfig="/k", context="c", impersonate="eve").kubectl_args == (
        "--kubeconfig=/k",
        "--context=c",
        "--as=eve",
    )
