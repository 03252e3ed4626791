#!/usr/bin/env bash
# The first process of the node, already in its own namespaces: prepare them, then sleep as `pause` and reap orphans.
#   machine-init.sh STATE NODE_IP PAUSE
set -euo pipefail
STATE=$1 NODE_IP=$2 PAUSE=$3

# /proc still shows the host's process numbers, which the record must hold (see machine_pid). This process keeps its pid over the
# exec at the end.
read -r host_pid _ </proc/self/stat
started=$(sed 's/.*) //' "/proc/$host_pid/stat" | cut -d' ' -f20)
echo "$host_pid $started $(cat /proc/sys/kernel/random/boot_id)" >"$STATE/machine"

# Every daemon finds its usual folders, and none of them is the host's.
mount -t proc proc /proc
mount --bind "$STATE/lib" /var/lib
mount --bind "$STATE/log" /var/log
mount -t tmpfs tmpfs /run

# The kubelet sets these for the whole host, unless they have the expected values. These files show it the expected values.
mkdir /run/sysctl
while read -r name value; do
  echo "$value" >"/run/sysctl/${name//\//.}"
  mount --bind "/run/sysctl/${name//\//.}" "/proc/sys/$name"
done <<'SETTINGS'
vm/overcommit_memory 1
vm/panic_on_oom 0
kernel/panic 10
kernel/panic_on_oops 1
kernel/keys/root_maxkeys 1000000
kernel/keys/root_maxbytes 25000000
SETTINGS

# A veth pair with both ends in this namespace is the network card, because the kernel may have no dummy device.
ip link set lo up
ip link add eth0 type veth peer name eth0-peer
ip link set eth0-peer up
ip addr add "$NODE_IP/24" dev eth0
ip link set eth0 up
ip route add default dev eth0
sysctl -qw net.ipv4.ip_forward=1

mkdir /run/daemons                            # its presence means that the node is ready
exec "$PAUSE"
