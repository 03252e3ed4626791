"""``completion``: scripts with which shells complete ``kubectl-sympozium``. kubectl itself needs none."""

from sympozium_cli.output import print_line

_BASH = """\
_kubectl_sympozium() {
  local word
  COMPREPLY=()
  while IFS=$'\\t' read -r word _; do
    case $word in :*) ;; *) printf -v word %q "$word"; COMPREPLY+=("$word") ;; esac
  done < <(kubectl_complete-sympozium "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)
}
complete -F _kubectl_sympozium kubectl-sympozium"""
_SCRIPTS = {
    "bash": _BASH,
    "zsh": f"autoload -U +X bashcompinit && bashcompinit\n{_BASH}",
    "fish": (
        "complete -c kubectl-sympozium -f"
        " -a '(kubectl_complete-sympozium (commandline -opc)[2..] (commandline -ct) 2>/dev/null | string match -rv \"^:\")'"
    ),
}


def run(shell: str) -> None:
    """Print the script of a shell."""
    print_line(_SCRIPTS[shell])
