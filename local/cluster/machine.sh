# shellcheck shell=bash
# The node as a machine of its own: one process tree in its own network, mount and process namespaces.
#
# All daemons, container shims and pods live in that tree. When its first process dies, the kernel kills all other processes and
# drops their mounts, interfaces, routes and firewall rules. So only one process must be recorded, and the pid of a daemon never
# belongs to a process outside the tree.

MACHINE_RECORD=$STATE/machine                # "pid start-time boot-id" of the first process

# start_time PID: print when the process began, in clock ticks. Together with the boot it distinguishes two owners of one pid.
start_time() { sed 's/.*) //' "/proc/$1/stat" 2>/dev/null | cut -d' ' -f20; }

# machine_pid: print the pid of the machine's first process; return false if that process does not run.
machine_pid() {
  local pid started boot
  read -r pid started boot 2>/dev/null <"$MACHINE_RECORD" || return 1
  [ "$boot" = "$(cat /proc/sys/kernel/random/boot_id)" ] && [ "$started" = "$(start_time "$pid")" ] || return 1
  echo "$pid"
}

# in_machine COMMAND...: run it as one of the node's processes. Descriptor 9 is the caller's lock, which no daemon may keep.
in_machine() {
  local pid
  pid=$(machine_pid) || fail "the node does not run (start it with: local/cluster/cluster.sh up)"
  nsenter --target "$pid" --mount --net --pid -- "$@" 9>&-
}

machine_ready() { machine_pid >/dev/null && in_machine test -d /run/daemons; }

machine_up() {
  if machine_pid >/dev/null && ! wait_until 10 "the node's namespaces" machine_ready; then
    machine_destroy                          # its start was interrupted
  fi
  machine_pid >/dev/null || machine_create
  machine_publish
}

machine_create() {
  machine_destroy
  mkdir -p "$STATE"/{etc,lib,log}
  cgroups_create
  # "slave": network namespaces that the host unmounts later must vanish here as well, but no mount of ours reaches the host.
  setsid unshare --mount --net --pid --fork --propagation slave \
    "$HERE/machine-init.sh" "$STATE" "$BIN/pause" "${NODE_IPS[@]}" >"$STATE/log/machine.log" 2>&1 </dev/null 9>&- &
  wait_until 10 "the node's namespaces" machine_ready || fail "the node's namespaces could not be made: $(tail -3 "$STATE/log/machine.log")"
}

# machine_publish: name the network namespace, because `ip netns exec` and `nsenter --net=` find it by name.
machine_publish() {
  local pid
  pid=$(machine_pid)
  [ "/run/netns/$CLUSTER" -ef "/proc/$pid/ns/net" ] && return
  ip netns delete "$CLUSTER" 2>/dev/null || true
  ip netns attach "$CLUSTER" "$pid"
  # `ip netns exec` mounts this file over /etc/resolv.conf, so that Service names work there as in a pod.
  mkdir -p "/etc/netns/$CLUSTER"
  printf 'nameserver %s\nsearch default.svc.cluster.local svc.cluster.local cluster.local\noptions ndots:5\n' "$DNS_IP" >"/etc/netns/$CLUSTER/resolv.conf"
}

machine_unpublish() {
  ip netns delete "$CLUSTER" 2>/dev/null || true
  rm -rf "/etc/netns/$CLUSTER"
  rmdir /etc/netns 2>/dev/null || true
  # `ip` mounts this folder over itself with the first name, and leaves the mount after the last.
  if [ -d /run/netns ] && [ -z "$(ls -A /run/netns)" ]; then
    umount /run/netns 2>/dev/null || true
    rmdir /run/netns 2>/dev/null || true
  fi
}

machine_destroy() {
  local pid
  if pid=$(machine_pid); then kill -KILL "$pid" 2>/dev/null || true; fi
  # Without a record (its folder was removed), the name of the network namespace still leads to the processes in it.
  ip netns pids "$CLUSTER" 2>/dev/null | xargs -r kill -KILL 2>/dev/null || true
  wait_until 20 "the node's processes to end" machine_is_gone || fail "some processes of the node do not end"
  rm -f "$MACHINE_RECORD"
  machine_unpublish
  cgroups_remove
}

machine_is_gone() { ! machine_pid && [ -z "$(ip netns pids "$CLUSTER" 2>/dev/null)" ]; }

# cgroup_hierarchies: print the mount point of each (version 1 has one per controller, version 2 only one).
cgroup_hierarchies() { awk '$3 == "cgroup" || $3 == "cgroup2" {print $2}' /proc/mounts; }

cgroups_create() {
  local hierarchy setting
  for hierarchy in $(cgroup_hierarchies); do
    mkdir -p "$hierarchy/$CLUSTER"
    for setting in cpuset.cpus cpuset.mems; do   # version 1: empty in a new group, which no process may enter
      [ -e "$hierarchy/$CLUSTER/$setting" ] && cat "$hierarchy/$setting" >"$hierarchy/$CLUSTER/$setting"
    done
    # The daemons are in no group, so each of their threads would weigh as much as all pods together. Where systemd has put the
    # daemons into a group, all daemons weigh half as much as the pods. Version 1, version 2:
    for setting in cpu.shares=8192 cpu.weight=800; do
      [ -e "$hierarchy/$CLUSTER/${setting%=*}" ] && echo "${setting#*=}" >"$hierarchy/$CLUSTER/${setting%=*}"
    done
    # version 2: hand the controllers down
    [ -e "$hierarchy/cgroup.subtree_control" ] && sed 's/\</+/g' "$hierarchy/cgroup.controllers" >"$hierarchy/cgroup.subtree_control" 2>/dev/null
  done
  true
}

cgroups_remove() { wait_until 10 "the node's cgroups to empty" cgroups_try_remove || say "warning: some cgroups named $CLUSTER could not be removed"; }

cgroups_try_remove() {
  local hierarchy left=0
  for hierarchy in $(cgroup_hierarchies); do
    [ -d "$hierarchy/$CLUSTER" ] || continue
    find "$hierarchy/$CLUSTER" -depth -type d -exec rmdir {} + 2>/dev/null || left=1
  done
  return $left
}
