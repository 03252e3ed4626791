# shellcheck shell=bash
# kubectl's plugin, `kubectl sympozium`, in .local/bin: from .venv where `make setup` made one, else from an environment of its own.

# plugin_install: put both of its programs into .local/bin.
plugin_install() {
  local programs=$REPOSITORY/.venv/bin wanted
  if [ ! -x "$programs/kubectl-sympozium" ]; then
    programs=$WORK/plugin/bin
    wanted=$(cat "$REPOSITORY/pyproject.toml" "$REPOSITORY/constraints.txt" | sha256sum)
    [ "$(cat "$WORK/plugin/installed" 2>/dev/null)" = "$wanted" ] || plugin_make "$wanted" || return
  fi
  mkdir -p "$WORK/bin"
  ln -sf "$programs/kubectl-sympozium" "$programs/kubectl_complete-sympozium" "$WORK/bin/"
}

# plugin_make STAMP: make the environment anew. The package is installed in place, so that it is always this repository's.
plugin_make() {
  if ! python3 -c 'import venv, ensurepip' 2>/dev/null; then # Debian packages them apart from Python
    apt-get update -qq && apt-get install -y -qq --no-install-recommends python3-venv >/dev/null
  fi
  rm -rf "$WORK/plugin" && python3 -m venv "$WORK/plugin" &&
    "$WORK/plugin/bin/pip" install --quiet --disable-pip-version-check --constraint "$REPOSITORY/constraints.txt" \
      --editable "${REPOSITORY}[cli]" &&
    echo "$1" >"$WORK/plugin/installed"
}
