# shellcheck shell=bash
# Start and liveness of the node's daemons. Their pid files are in the machine's own /run and hold its own process numbers, so
# they neither outlive the machine nor point at a process of the host.

# daemon_start NAME COMMAND...: start the daemon unless it already runs. One earlier log is kept.
daemon_start() {
  local name=$1
  shift
  daemon_alive "$name" && return
  # shellcheck disable=SC2016  # expanded by the inner shell
  in_machine sh -c '
    name=$1; shift
    [ ! -f "/var/log/$name.log" ] || mv "/var/log/$name.log" "/var/log/$name.log.before"
    DAEMON=$name setsid "$@" >"/var/log/$name.log" 2>&1 </dev/null & echo $! >"/run/daemons/$name"' start "$name" "$@"
}

# daemon_alive NAME: the pid must belong to a process that daemon_start marked, because process numbers are used again.
daemon_alive() {
  # shellcheck disable=SC2016
  in_machine sh -c '
    read -r pid <"/run/daemons/$1" && tr "\0" "\n" <"/proc/$pid/environ" | grep -qx "DAEMON=$1"' alive "$1" 2>/dev/null
}
