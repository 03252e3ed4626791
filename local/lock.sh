# shellcheck shell=bash
# One run at a time per cluster: `make demo` and `make test` of two clones would otherwise repair each other's half-done work.

# hold_lock FILE: waits for its turn, then holds the lock until this script ends. A script called by the holder does not wait.
hold_lock() {
  [ "${SYMPOZIUM_LOCK_HELD:-}" = "$1" ] && return
  mkdir -p "$(dirname "$1")"
  exec 9>"$1"
  if ! flock --nonblock 9; then
    say "another run is at work on this cluster; waiting for it"
    flock 9
  fi
  export SYMPOZIUM_LOCK_HELD=$1
}
