#!/usr/bin/env bash
# Run every test, in three phases: the tests without a cluster; tests/e2e side by side, each worker with namespaces of its own; the
# tests that change or measure the whole cluster (marker `alone`), one after the other. A failed phase does not stop the next one.
# The tests with other clients and with a browser need no cluster; they wait for local/clients.sh, which may last as long as the first phase.
#   test.sh [--e2e] [PYTEST ARGUMENTS]   --e2e leaves the first phase out
# Arguments that name files or tests run those alone, as one plain run.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
PYTEST=$PWD/.venv/bin/pytest
WORKERS=${SYMPOZIUM_TEST_WORKERS:-3}         # of tests/e2e, which waits more than it computes
PROCESSES=${SYMPOZIUM_TEST_PROCESSES:-2}     # of the tests without a cluster, which compute
NOTHING_SELECTED=5                           # pytest's exit status, e.g. where -k names tests of another phase
status=$NOTHING_SELECTED

# phase TITLE COMMAND: run a phase and keep the first failure's exit status. Nothing is printed after the test runner's last line.
phase() {
  local ended=0
  printf '%4d s  tests %s\n' "$SECONDS" "$1"
  shift
  "$@" || ended=$?
  if ((status == 0 || status == NOTHING_SELECTED)) && ((ended != NOTHING_SELECTED)); then status=$ended; fi
}

names_tests() {
  local argument
  for argument; do
    if [ -e "${argument%%::*}" ]; then return; fi
  done
  return 1
}

# background COMMAND: run what waits for the network, or for a processor that no test wants.
background() {
  nice -n 19 "$@" &
  preparing+=($!)
}

preparing=()
trap 'kill "${preparing[@]}" 2>/dev/null || true' EXIT
if [ "${1:-}" = --e2e ]; then
  shift
else
  everything=1
fi
background local/clients.sh
[ -z "${everything:-}" ] || local/postgresql.sh
local/up.sh
background local/gateway/install.sh
background local/postgres/install.sh
if [ -n "${everything:-}" ] && ! names_tests "$@"; then
  phase "without a cluster" "$PYTEST" tests/unit tests/contract tests/integration \
    --ignore tests/integration/clients --ignore tests/integration/pages --numprocesses "$PROCESSES" --dist loadfile "$@"
fi
for job in "${preparing[@]}"; do wait "$job" || status=1; done # the tests that need it say so, and the others run
preparing=()

# shellcheck source=/dev/null
. .local/env
if [ -f "${SYMPOZIUM_AUDIT_LOG:-}" ]; then # where the tests that read the log begin: all workers and phases are one session
  SYMPOZIUM_AUDIT_BEGIN=$(stat --format %i:%s "$SYMPOZIUM_AUDIT_LOG")
  export SYMPOZIUM_AUDIT_BEGIN
fi
read -ra on_the_clusters_network <<<"$SYMPOZIUM_EXEC"
if names_tests "$@"; then exec "${on_the_clusters_network[@]}" "$PYTEST" "$@"; fi
phase "on the cluster, side by side" "${on_the_clusters_network[@]}" \
  "$PYTEST" tests/conformance tests/integration/clients tests/integration/pages tests/e2e --phase together --numprocesses "$WORKERS" --dist loadfile "$@"
phase "on the cluster, alone" "${on_the_clusters_network[@]}" "$PYTEST" tests/e2e --phase alone "$@"
exit "$status"
