# shellcheck shell=bash
# One run at a time per cluster, because `make demo` and `make test` of two clones would repair each other's unfinished work.

# hold_lock FILE: wait for the lock, then hold it until this script ends. A script that the holder calls does not wait.
hold_lock() {
  [ "${SYMPOZIUM_LOCK_HELD:-}" = "$1" ] && return
  mkdir -p "$(dirname "$1")"
  exec 9>"$1"
  if ! flock --nonblock 9; then
    say "another run uses this cluster; waiting until it ends"
    flock 9
  fi
  export SYMPOZIUM_LOCK_HELD=$1
}
