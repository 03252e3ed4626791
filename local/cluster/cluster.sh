#!/usr/bin/env bash
# A single-node Kubernetes on a machine without Docker (root on Debian; Go to build it).
#
#   cluster.sh up                      build what is missing, start or repair, wait until pods can run
#   cluster.sh down                    end it and remove all traces but what was built
#   cluster.sh status                  true if it is up and answers
#   cluster.sh kubectl ARGUMENTS
#   cluster.sh exec COMMAND            run it where pod and Service addresses are reachable
#   cluster.sh image TAG FOLDER [...]  build the folder's Dockerfile and load the image into the node
#   cluster.sh forward NAME PORT ADDRESS   show ADDRESS (in the cluster) at 127.0.0.1:PORT or the next free one; prints where
set -euo pipefail
HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
for part in ../progress ../lock settings machine daemons control-plane node images build forward; do
  # shellcheck source=/dev/null
  . "$HERE/$part.sh"
done

up() {
  hold_lock "$LOCK"
  if status; then return; fi
  build_all
  start
  say "Kubernetes $KUBERNETES_VERSION is up: KUBECONFIG=$STATE/kubeconfig"
}

# start: each step does nothing where it was done before, so this is the repair as well.
start() {
  say "starting Kubernetes"
  machine_up
  control_plane_start
  runtime_start
  apiserver_wait || start_afresh
  say "the API server answers"
  controllers_start
  admin_rights
  node_finish
  kubeconfig_write
  node_wait
}

# start_afresh: the API server does not come up on the data it has, which a crash of the whole host may have torn.
start_afresh() {
  say "the API server does not come up ($(tail -1 "$STATE/log/kube-apiserver.log" | cut -c1-200)); trying with an empty cluster"
  machine_destroy
  rm -rf "$STATE"
  machine_up
  control_plane_start
  runtime_start
  apiserver_wait || fail "the API server does not come up: $STATE/log"
}

status() {
  machine_ready || return 1
  local name
  for name in etcd kube-apiserver kube-controller-manager kube-scheduler containerd kubelet kube-proxy forward-api; do
    daemon_alive "$name" || return 1
  done
  machine_publish
  kc wait --for=condition=Ready "node/$NODE_NAME" --timeout=1s >/dev/null 2>&1
}

down() {
  hold_lock "$LOCK"
  machine_destroy
  rm -rf --one-file-system "$STATE"
  rmdir "$CACHE/state" 2>/dev/null || true
}

image() {
  image_build "$@" >/dev/null
  image_load "$1"
}

check_settings
command=${1:?up | down | status | kubectl | exec | image | forward}
shift
case $command in
  up | down | status | image | forward) "$command" "$@" ;;
  kubectl) kc "$@" ;;
  exec) exec ip netns exec "$CLUSTER" "$@" ;;
  *) fail "unknown command $command" ;;
esac
