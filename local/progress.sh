# shellcheck shell=bash
# Progress on the terminal, and steps that run side by side. Nothing here knows about clusters.

# The clock starts with the outermost script, so that all scripts count from the same moment.
export SYMPOZIUM_STARTED=${SYMPOZIUM_STARTED:-$EPOCHSECONDS}
# The file that `timed` writes to, one "begin seconds name" per line. Empty: durations are not recorded.
export SYMPOZIUM_STEPS=${SYMPOZIUM_STEPS:-}
PROGRESS_INTERVAL=10                         # seconds of silence before a long step prints a line

# say TEXT: print one line that begins with the seconds since the start.
say() { printf '%4d s  %s\n' $((EPOCHSECONDS - SYMPOZIUM_STARTED)) "$*" >&2; }

fail() { say "FAILED: $*"; exit 1; }

# wait_until SECONDS WHAT COMMAND...: return true as soon as COMMAND succeeds, false after SECONDS. A long wait prints lines.
wait_until() {
  local bound=$1 what=$2 began=$EPOCHSECONDS reported=$EPOCHSECONDS
  shift 2
  until "$@" >/dev/null 2>&1; do
    ((EPOCHSECONDS - began < bound)) || return 1
    if ((EPOCHSECONDS - reported >= PROGRESS_INTERVAL)); then
      reported=$EPOCHSECONDS
      say "  still waiting for $what ($((EPOCHSECONDS - began)) of at most $bound s)"
    fi
    sleep 0.2
  done
}

# timed NAME COMMAND...: run COMMAND and record its duration under NAME, unless it fails. The processor time is recorded too,
# because it hardly depends on what else the machine does.
timed() {
  local name=$1 began=$EPOCHSECONDS self=$BASHPID used status
  used=$(processor_seconds "$self")
  shift
  "$@"
  status=$?
  ((status)) || [ -z "$SYMPOZIUM_STEPS" ] ||
    echo "$((began - SYMPOZIUM_STARTED)) $((EPOCHSECONDS - began)) $(($(processor_seconds "$self") - used)) $name" >>"$SYMPOZIUM_STEPS"
  return $status
}

# processor_seconds PID: print the processor time of a process and of its ended children.
processor_seconds() {
  local stat
  read -r -a stat <"/proc/$1/stat"
  echo $(((stat[13] + stat[14] + stat[15] + stat[16]) / 100))
}

# steps_begin FILE: record the durations of this run in FILE.
steps_begin() { : >"$1"; SYMPOZIUM_STEPS=$1; }

# steps_print: print the recorded durations. Steps side by side overlap, so they do not add up to the total.
steps_print() {
  [ -s "$SYMPOZIUM_STEPS" ] || return 0
  {
    printf '\n  began    took  processors  step\n'
    sort -sn "$SYMPOZIUM_STEPS" | while read -r began took used name; do printf '%5d s %5d s     %5d s  %s\n' "$began" "$took" "$used" "$name"; done
    printf '        %6d s              in all, on %d processors with a load of %s over the last 15 minutes\n' \
      $((EPOCHSECONDS - SYMPOZIUM_STARTED)) "$(nproc)" "$(cut -d' ' -f3 /proc/loadavg)"
  } >&2
}

# side_by_side COMMAND...: run the commands at the same time. When one fails, end the others and the script; the failed command
# has said why. Each has a process group of its own, because ending the group ends its children too.
side_by_side() {
  local command side status
  SIDES=()
  trap sides_end EXIT                        # a signal runs it as well
  set -m
  for command in "$@"; do
    "$command" </dev/null &
    SIDES[$!]=$command
  done
  set +m
  while ((${#SIDES[@]})); do
    for side in "${!SIDES[@]}"; do
      kill -0 "$side" 2>/dev/null && continue
      status=0
      wait "$side" || status=$?
      command=${SIDES[side]}
      unset "SIDES[side]"
      ((status == 0)) || { say "stopping: $command ended with status $status"; exit "$status"; }
    done
    sleep 0.2
  done
  trap - EXIT
}

# sides_end: end all jobs, because a signal may come before SIDES has the last one. A child that a shell is just starting may miss it,
# so it is sent again while the group is there: for five seconds, because nobody may care for the dead of it.
sides_end() {
  local jobs side
  jobs=$(jobs -p)
  for side in $jobs; do kill -TERM -- "-$side" 2>/dev/null || true; done
  for side in $jobs; do
    wait "$side" 2>/dev/null || true
    for _ in {1..50}; do
      kill -TERM -- "-$side" 2>/dev/null || break
      sleep 0.1
    done
  done
}

# packages_progress WHAT TOTAL: read what `go -v` prints and say how far it is. TOTAL 0: not known. Packages that Go has in its
# cache are not built, so the count may stay below TOTAL.
packages_progress() {
  local what=$1 total=$2 began=$EPOCHSECONDS reported=$EPOCHSECONDS line minute packages=0 downloads=0 state
  while :; do
    state=0
    IFS= read -r -t 1 line || state=$?
    ((state == 0 || state > 128)) || break   # above 128: nothing was printed for a second
    if ((state == 0)); then
      echo "$line"
      case $line in
        "go: downloading "*) downloads=$((downloads + 1)) ;;
        *" "* | "") ;;
        *) packages=$((packages + 1)) ;;
      esac
    fi
    ((EPOCHSECONDS - reported >= PROGRESS_INTERVAL)) || continue
    reported=$EPOCHSECONDS
    minute="minute $(((EPOCHSECONDS - began) / 60 + 1))"
    case $((packages > 0))$((total > 0)) in
      11) say "  building $what: $packages of at most $total packages, $minute" ;;
      10) say "  building $what: $packages packages so far, $minute" ;;
      01) say "  building $what: $minute; Go has all of the packages so far in its cache" ;;
      00) say "  reading the source of $what: $downloads modules downloaded so far, $minute" ;;
    esac
  done
}
