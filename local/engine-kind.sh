# shellcheck shell=bash disable=SC2034  # the ENGINE_ variables are read by those who source engine.sh
# The engine for a machine with Docker: kind. Needs kind, kubectl and helm.

CLUSTER=${SYMPOZIUM_CLUSTER:-sympozium}
FORWARDER=$WORK/kind-forward                 # and the Service's name: "pid|when it started|port" of a port-forward loop

engine_settings() {
  local program
  for program in kind kubectl helm; do
    command -v "$program" >/dev/null || fail "$program is needed beside Docker"
  done
  ENGINE_KUBECONFIG=$WORK/kubeconfig
  ENGINE_PATH=$(dirname "$(command -v kubectl)")
  ENGINE_EXEC=                               # known once the node runs
  ENGINE_AUDIT_LOG=
  ENGINE_LOCK=${SYMPOZIUM_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/sympozium}/$CLUSTER.lock
}

engine_up() {
  cluster_up
  # The node's network, but this machine's files: a test's own Python can be run there. Entering it takes root.
  ENGINE_EXEC="nsenter --net --target $(docker inspect --format '{{.State.Pid}}' "$CLUSTER-control-plane")"
  ((EUID == 0)) || ENGINE_EXEC="sudo --preserve-env=PATH,KUBECONFIG $ENGINE_EXEC"
}

cluster_up() {
  if kind get clusters 2>/dev/null | grep -qx "$CLUSTER"; then
    docker start "$CLUSTER-control-plane" >/dev/null   # a reboot stops it
    kind export kubeconfig --name "$CLUSTER" --kubeconfig "$ENGINE_KUBECONFIG" >/dev/null 2>&1
    # One that was interrupted half-way never becomes Ready.
    wait_until 60 "the kind cluster" kubectl wait --for=condition=Ready node --all --timeout=5s && return
    say "the kind cluster is not usable: creating it again"
    kind delete cluster --name "$CLUSTER"
  fi
  say "creating a kind cluster"
  kind create cluster --name "$CLUSTER" --config "$LOCAL/kind.yaml" --kubeconfig "$ENGINE_KUBECONFIG" --wait 120s >&2 9>&-
}

engine_down() {
  forwarders_stop
  kind delete cluster --name "$CLUSTER" --kubeconfig "$ENGINE_KUBECONFIG"
}

engine_has_image() { docker exec "$CLUSTER-control-plane" crictl inspecti --quiet "docker.io/$1" >/dev/null 2>&1; }

engine_build_image() {
  docker build --tag "$1" --file "$3" "$2" && kind load docker-image "$1" --name "$CLUSTER"
}

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

# forwarder_runs RECORD: the start time tells our process from another one that got its number.
forwarder_runs() {
  local pid started
  IFS='|' read -r pid started _ 2>/dev/null <"$1" && [ -n "$started" ] && [ "$(ps -o lstart= -p "$pid")" = "$started" ]
}

forwarders_stop() {
  local record
  for record in "$FORWARDER"-*; do
    # Its own session (setsid), so the group is the loop and the kubectl it waits for.
    if forwarder_runs "$record"; then kill -- "-$(cut -d'|' -f1 "$record")"; fi
    rm -f "$record"
  done
}

engine_remove_caches() { :; }                # Docker's build cache is not only ours
