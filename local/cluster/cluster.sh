#!/usr/bin/env bash
# A single-node Kubernetes on a machine without Docker (root on Debian; Go to build it).
#
#   cluster.sh up                      build what is missing, start or repair, wait until pods can run
#   cluster.sh build-programs          of that, only what takes processor time: Kubernetes and CoreDNS
#   cluster.sh build-base              of that, only what waits for the network: Debian packages, Helm, base images
#   cluster.sh down                    stop the cluster and remove all traces except what was built
#   cluster.sh status                  true if the cluster is up and answers
#   cluster.sh kubectl ARGUMENTS
#   cluster.sh exec COMMAND            run it where pod and Service addresses are reachable
#   cluster.sh image TAG FOLDER [BUILDAH ARGUMENTS]   build the folder's Dockerfile and load the image into the node
#   cluster.sh build-image TAG FOLDER [BUILDAH ARGUMENTS]
#   cluster.sh has-built-image TAG     true if the image store has it
#   cluster.sh load-image TAG          from the image store into the node
#   cluster.sh has-image TAG           true if the node has it
#   cluster.sh prune-images NAME KEEP  remove the images docker.io/NAME:* but the tag KEEP, from node and store
#   cluster.sh program NAME MODULE@VERSION   build a Go program, once, beside Kubernetes' own; prints its path
#   cluster.sh settings                shell assignments: where the kubeconfig, the programs and the audit log are
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
  side_by_side build_programs build_base
  build_rest
  timed "start of Kubernetes" start
  say "Kubernetes $KUBERNETES_VERSION is up: KUBECONFIG=$STATE/kubeconfig"
}

# start: each step does nothing where it is done already, so this is also the repair.
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

# start_afresh: start with an empty cluster, because a crash of the whole host may have damaged etcd's data.
start_afresh() {
  say "the API server does not start on the data that it has; starting with an empty cluster"
  machine_destroy
  rm -rf "$STATE"
  machine_up
  control_plane_start
  runtime_start
  apiserver_wait || fail "the API server does not start: $STATE/log"
}

status() {
  machine_ready || return 1
  local name
  for name in etcd kube-apiserver kube-controller-manager kube-scheduler containerd kubelet kube-proxy provisioner forward-api; do
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

settings() {
  # Within the namespace the API server has its own address; the port of 127.0.0.1 that leads to it exists outside only.
  local exec="ip netns exec $CLUSTER env KUBECONFIG=$CONFIG/super-admin.conf"
  printf '%s=%q\n' KUBECONFIG "$STATE/kubeconfig" TOOLS_PATH "$BIN" AUDIT_LOG "$STATE/log/audit.log" EXEC "$exec" CACHE "$CACHE" LOCK "$LOCK"
}

program() {
  mkdir -p "$BIN"
  go_program "$@"
  echo "$BIN/$1"
}

image() {
  image_build "$@" >/dev/null
  image_load "$1"
}

check_settings
command=${1:?up | down | status | kubectl | exec | forward | image ...}
shift
case $command in
  up | down | status | image | forward | program) "$command" "$@" ;;
  build-programs) hold_lock "$LOCK"; build_programs ;;
  build-base) hold_lock "$LOCK"; build_base ;;
  build-image) image_build "$@" ;;
  has-built-image) image_exists "$@" ;;
  load-image) image_load "$@" ;;
  has-image) node_has_image "$@" ;;
  prune-images) images_prune "$@" ;;
  settings) settings ;;
  kubectl) kc "$@" ;;
  exec) exec ip netns exec "$CLUSTER" "$@" ;;
  *) fail "unknown command $command" ;;
esac
