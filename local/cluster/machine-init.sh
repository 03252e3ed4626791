#!/usr/bin/env bash
# The first process of the node, already in its own namespaces: prepare them, then sleep as `pause` and reap orphans.
#   machine-init.sh STATE PAUSE NODE_IP...
set -euo pipefail
STATE=$1 PAUSE=$2
shift 2

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
ip link set eth0 up
sysctl -qw net.ipv4.ip_forward=1
for address; do
  case $address in
    *:*)
      sysctl -qw net.ipv6.conf.all.forwarding=1 net.ipv6.conf.default.accept_dad=0   # else a pod's address is not usable for a second
      ip addr add "$address/64" dev eth0 nodad
      ip -6 route add default dev eth0
      ;;
    *)
      ip addr add "$address/24" dev eth0
      ip route add default dev eth0
      ;;
  esac
done

mkdir /run/daemons                            # its presence means that the node is ready
exec "$PAUSE"
