#!/usr/bin/env bash
# Run every test, in six phases. A failed phase does not stop the others.
#   without a cluster   begins at once, beside the preparation of the others, and yields the processors to them when they begin
#   in a browser        the console's pages, without the cluster, outside of its network: Chromium gives up what it loads when an
#                       interface comes
#   in a browser, on the cluster    the installation's pages (marker `browser`), from there too
#   side by side        tests/e2e by files, each worker with namespaces of its own, and the tests with other clients
#   alone               the tests of tests/e2e that change the whole cluster (marker `alone`), one after the other
#   last                those that measure, that read the audit log, and that take the installation apart, when all others have ended
# What the first phase prints is shown before the last one, so that the test runner's last line is the last; where tests have failed, all
# failures come once more after it, shortly.
#   test.sh [--e2e] [PYTEST ARGUMENTS]   --e2e leaves the first phase out
# Arguments that name files or tests run those alone, as one plain run.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
PYTEST=$PWD/.venv/bin/pytest
WORKERS=${SYMPOZIUM_TEST_WORKERS:-3}         # of tests/e2e, which waits more than it computes
PROCESSES=${SYMPOZIUM_TEST_PROCESSES:-2}     # of the tests without a cluster, which compute
NOTHING_SELECTED=5                           # pytest's exit status, e.g. where -k names tests of another phase
NICENESS=10                                  # of what yields: a tenth of the weight of others, so that no test starves
PRINTED=.local/tests-without-a-cluster       # what the first phase prints
RESULTS=.local/test-results                  # JUnit files, one a phase
status=$NOTHING_SELECTED
tests_pid=                                   # of the first phase, as long as it runs
phases=0                                     # that have begun

title() { printf '%4d s  tests %s\n' "$SECONDS" "$1"; }

# remember STATUS: keep the first failure's exit status.
remember() {
  if ((status == 0 || status == NOTHING_SELECTED)) && (($1 != NOTHING_SELECTED)); then status=$1; fi
}

# phase TITLE PYTEST...: run a phase. Where one fails, say what state the machine and the cluster are in.
phase() {
  local ended=0
  title "$1"
  shift
  phases=$((phases + 1))
  "$@" --junitxml "$RESULTS/$phases.xml" || ended=$?
  remember "$ended"
  if ((ended != 0 && ended != NOTHING_SELECTED)); then machine_and_cluster || true; fi
}

# machine_and_cluster: what tells a fault of ours from a machine that lacks something.
machine_and_cluster() {
  title "have ended with failures; this is how the machine and the cluster are"
  uptime
  df --human-readable --output=target,size,avail . | tail --lines=1
  free --human | head --lines=2
  [ -n "${KUBECONFIG:-}" ] || return
  kubectl get nodes --output 'jsonpath={range .items[*]}{.spec.taints}{range .status.conditions[*]}{.type}={.status} {end}{"\n"}{end}'
  kubectl describe nodes | grep --extended-regexp '^  (cpu|memory) '
  kubectl get pods --all-namespaces --no-headers | awk '{split($3, ready, "/")} ready[1] != ready[2] && $4 != "Completed"' | head --lines=8
  kubectl get events --all-namespaces --field-selector type=Warning \
    --output 'jsonpath={range .items[*]}{.reason}: {.message}{"\n"}{end}' | cut --characters=1-160 | sort | uniq --count | sort --reverse --numeric | head --lines=8
}

names_tests() {
  local argument
  for argument; do
    if [ -e "${argument%%::*}" ]; then return; fi
  done
  return 1
}

# yields PID: let other sessions have the processors first, and pods, which are in other control groups. Linux shares processors among
# sessions and groups; niceness alone counts within a session.
yields() {
  (echo "$NICENESS" >"/proc/$1/autogroup") 2>/dev/null || true # not every kernel has it
  renice --priority "$NICENESS" --pgrp "$1" >/dev/null 2>&1 || true
}

# prepare COMMAND: begin something that tests wait for.
prepare() {
  setsid "$@" &
  sessions+=($!)
}

# prepare_late COMMAND: the same, for what only a later phase needs: it yields to all others.
# shellcheck disable=SC2016  # the new session expands it
prepare_late() {
  prepare bash -c '(echo "$0" >/proc/self/autogroup) 2>/dev/null; exec nice -n "$0" "$@"' "$NICENESS" "$@"
}

# prepared PID: wait for what was begun. Tests that lack it say so, and the others run.
prepared() { wait "$1" || remember 1; }

# without_a_cluster_begins PYTEST ARGUMENTS; without_a_cluster_ends
without_a_cluster_begins() {
  title "without a cluster begin; what they print is shown when the tests on the cluster alone have ended"
  setsid "$PYTEST" tests/unit tests/contract tests/integration \
    --ignore tests/integration/clients --ignore tests/integration/pages --numprocesses "$PROCESSES" --dist loadfile "$@" \
    --junitxml "$RESULTS/0.xml" >"$PRINTED" 2>&1 &
  tests_pid=$!
}

without_a_cluster_ends() {
  local ended=0
  wait "$tests_pid" || ended=$?
  tests_pid=
  title "without a cluster"
  cat "$PRINTED"
  remember "$ended"
}

# cleanup: end what still runs after an interruption, and show what it has printed.
# shellcheck disable=SC2317  # the trap calls it
cleanup() {
  local session
  for session in ${sessions[@]+"${sessions[@]}"} $tests_pid; do kill -- "-$session" 2>/dev/null || true; done
  [ -z "$tests_pid" ] || cat "$PRINTED"
}

sessions=()
trap cleanup EXIT
trap 'exit 130' INT # else bash would not clean up in every case
trap 'exit 143' TERM
everything=1
rm -rf "$RESULTS"
mkdir -p "$RESULTS"
if [ "${1:-}" = --e2e ]; then
  shift
  everything=
fi
if names_tests "$@"; then everything=; fi
prepare local/clients.sh
clients=$!
[ -z "$everything" ] || local/postgresql.sh
[ -z "$everything" ] || without_a_cluster_begins "$@"
local/up.sh
local/databases.sh || remember 1
prepare_late local/gateway/install.sh # compiled the first time, which takes minutes; only the phase "alone" needs it
gateway=$!
prepared "$clients"

# shellcheck source=/dev/null
. .local/env
if [ -f "${SYMPOZIUM_AUDIT_LOG:-}" ]; then # where the tests that read the log begin: all workers and phases are one session
  SYMPOZIUM_AUDIT_BEGIN=$(stat --format %i:%s "$SYMPOZIUM_AUDIT_LOG")
  export SYMPOZIUM_AUDIT_BEGIN
fi
read -ra on_the_clusters_network <<<"$SYMPOZIUM_EXEC"
if names_tests "$@"; then
  prepared "$gateway"
  exec "${on_the_clusters_network[@]}" "$PYTEST" "$@"
fi
[ -z "$tests_pid" ] || yields "$tests_pid"
[ -z "$everything" ] || phase "in a browser" "$PYTEST" tests/integration/pages --numprocesses "$PROCESSES" --dist loadfile "$@"
phase "in a browser, on the cluster" "$PYTEST" tests/e2e --phase browser "$@"
phase "on the cluster, side by side" "${on_the_clusters_network[@]}" \
  "$PYTEST" tests/conformance tests/integration/clients tests/e2e --phase together \
  --numprocesses "$WORKERS" --dist loadfile --no-loadscope-reorder "$@"
prepared "$gateway"
phase "on the cluster, alone" "${on_the_clusters_network[@]}" "$PYTEST" tests/e2e --phase alone "$@"
[ -z "$tests_pid" ] || without_a_cluster_ends
phase "on the cluster, last" "${on_the_clusters_network[@]}" "$PYTEST" tests/e2e --phase last "$@"
.venv/bin/python local/failures.py "$RESULTS"/*.xml || true
exit "$status"
