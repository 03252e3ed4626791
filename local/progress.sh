# shellcheck shell=bash
# What a person sees while something takes time. Nothing here knows about clusters.

# The clock starts with the outermost script, so that the lines of all of them tell one story.
export SYMPOZIUM_STARTED=${SYMPOZIUM_STARTED:-$EPOCHSECONDS}

# say TEXT: one line, in front of it the seconds since the start.
say() { printf '%4d s  %s\n' $((EPOCHSECONDS - SYMPOZIUM_STARTED)) "$*" >&2; }

fail() { say "FAILED: $*"; exit 1; }

# wait_until SECONDS WHAT COMMAND...: true as soon as COMMAND succeeds, false after SECONDS; speaks when it takes long.
wait_until() {
  local bound=$1 what=$2 began=$EPOCHSECONDS told=$EPOCHSECONDS
  shift 2
  until "$@" >/dev/null 2>&1; do
    ((EPOCHSECONDS - began < bound)) || return 1
    if ((EPOCHSECONDS - told >= 10)); then
      told=$EPOCHSECONDS
      say "  still waiting for $what ($((EPOCHSECONDS - began)) of at most $bound s)"
    fi
    sleep 0.2
  done
}
