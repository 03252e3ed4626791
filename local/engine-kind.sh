# shellcheck shell=bash disable=SC2034  # the ENGINE_ variables are read by those who source engine.sh
# The engine for a machine with Docker: kind. Needs kind, kubectl and helm.

# The node image is named with its digest, because a tag may be pushed again. It is the image that this version of kind was
# released with; a new version may name another image.
KIND_VERSION=0.30.0                          # or later
KIND_NODE_IMAGE=kindest/node:v1.34.0@sha256:7416a61b42b1662ca6ca89f02028ac133a309a2a30ba309614e8ec94d976dc5a

CLUSTER=${SYMPOZIUM_CLUSTER:-sympozium}
FORWARDER=$WORK/kind-forward                 # and the Service's name: "pid|start time|port" of a port-forward loop

engine_settings() {
  local program
  for program in kind kubectl helm; do
    command -v "$program" >/dev/null || fail "$program is needed beside Docker"
  done
  kind_version_check
  ENGINE_KUBECONFIG=$WORK/kubeconfig
  ENGINE_PATH=$(dirname "$(command -v kubectl)")
  ENGINE_EXEC=                               # known once the node runs
  ENGINE_AUDIT_LOG=
  ENGINE_LOCK=${SYMPOZIUM_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/sympozium}/$CLUSTER.lock
}

# kind_version_check: `kind version` prints "kind v0.30.0 go1.24.6 linux/amd64".
kind_version_check() {
  local version
  version=$(kind version 2>/dev/null | sed -n 's/^kind v\([0-9.]*\).*/\1/p')
  printf '%s\n' "$KIND_VERSION" "${version:-0}" | sort --check --version-sort 2>/dev/null ||
    fail "kind $KIND_VERSION or later is needed for its node image ${KIND_NODE_IMAGE%@*}; this is kind ${version:-of an unknown version}"
}

# engine_up [MEANWHILE]: kind's cluster starts faster than images are built, so nothing is done meanwhile.
engine_up() {
  cluster_up
  # In the node's network the API server has its own port; the port of 127.0.0.1 that leads to it exists outside only.
  sed 's#^\( *server: https://127.0.0.1\):.*#\1:6443#' "$ENGINE_KUBECONFIG" >"$ENGINE_KUBECONFIG-node"
  chmod 600 "$ENGINE_KUBECONFIG-node"
  # The node's network, but this machine's files: a test's own Python can be run there. Entering the network takes root.
  ENGINE_EXEC="nsenter --net --target $(docker inspect --format '{{.State.Pid}}' "$CLUSTER-control-plane") env KUBECONFIG=$ENGINE_KUBECONFIG-node"
  ((EUID == 0)) || ENGINE_EXEC="sudo --preserve-env=PATH $ENGINE_EXEC"
}

cluster_up() {
  if kind get clusters 2>/dev/null | grep -qx "$CLUSTER"; then
    docker start "$CLUSTER-control-plane" >/dev/null   # a reboot stops it
    kind export kubeconfig --name "$CLUSTER" --kubeconfig "$ENGINE_KUBECONFIG" >/dev/null 2>&1
    # A cluster whose creation was interrupted never becomes Ready.
    wait_until 60 "the kind cluster" kubectl wait --for=condition=Ready node --all --timeout=5s && return
    say "the kind cluster is not usable: creating it again"
    kind delete cluster --name "$CLUSTER"
  fi
  say "creating a kind cluster"
  kind create cluster --name "$CLUSTER" --image "$KIND_NODE_IMAGE" --config "$LOCAL/kind.yaml" --kubeconfig "$ENGINE_KUBECONFIG" --wait 120s >&2 9>&-
}

engine_down() {
  forwarders_stop
  kind delete cluster --name "$CLUSTER" --kubeconfig "$ENGINE_KUBECONFIG"
}

engine_has_image() { docker exec "$CLUSTER-control-plane" crictl inspecti --quiet "docker.io/$1" >/dev/null 2>&1; }

engine_has_built_image() { docker image inspect "$1" >/dev/null 2>&1; }
engine_build_image() { docker build --tag "$1" --file "$3" "$2"; }
engine_load_image() { kind load docker-image "$1" --name "$CLUSTER"; }
engine_load_example_images() { :; }          # the node pulls them

engine_prune_images() {
  local image
  docker images --format '{{.Repository}}:{{.Tag}}' "$1" | { grep -vx "$1:$2" || true; } | while read -r image; do
    docker rmi "$image" >/dev/null
    docker exec "$CLUSTER-control-plane" crictl rmi "docker.io/$image" >/dev/null 2>&1 || true
  done
}

engine_forward() {
  local port=${SYMPOZIUM_PORT:-8080} record=$FORWARDER-$2
  if ! forwarder_runs "$record"; then
    while (: <"/dev/tcp/127.0.0.1/$port") 2>/dev/null; do port=$((port + 1)); done
    setsid "$LOCAL/kind-forward.sh" "$1" "$2" "$port:$3" >"$record.log" 2>&1 </dev/null 9>&- &
    echo "$!|$(ps -o lstart= -p $!)|$port" >"$record"
  fi
  echo "127.0.0.1:$(cut -d'|' -f3 "$record")"
}

# forwarder_runs RECORD: the start time distinguishes our process from another that got its number.
forwarder_runs() {
  local pid started
  IFS='|' read -r pid started _ 2>/dev/null <"$1" && [ -n "$started" ] && [ "$(ps -o lstart= -p "$pid")" = "$started" ]
}

forwarders_stop() {
  local record
  for record in "$FORWARDER"-*; do
    # The loop has its own session (setsid), so the group is the loop and the kubectl that it waits for.
    if forwarder_runs "$record"; then kill -- "-$(cut -d'|' -f1 "$record")"; fi
    rm -f "$record"
  done
}

engine_remove_caches() { :; }                # Docker's build cache is not only ours
