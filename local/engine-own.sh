# shellcheck shell=bash disable=SC2034  # the ENGINE_ variables are read by those who source engine.sh
# The engine for a machine without Docker: local/cluster.

cluster() { "$LOCAL/cluster/cluster.sh" "$@"; }

engine_settings() {
  local KUBECONFIG TOOLS_PATH AUDIT_LOG EXEC LOCK
  eval "$(cluster settings)"
  ENGINE_KUBECONFIG=$KUBECONFIG ENGINE_PATH=$TOOLS_PATH ENGINE_AUDIT_LOG=$AUDIT_LOG ENGINE_EXEC=$EXEC ENGINE_LOCK=$LOCK
}

engine_up() {
  [ "$(id -u)" = 0 ] || fail "without Docker the cluster needs root (it makes namespaces and mounts)"
  cluster up
}

engine_down() { cluster down; }
engine_has_image() { cluster has-image "docker.io/$1"; }
engine_prune_images() { cluster prune-images "$1" "$2"; }

engine_build_image() {
  cluster build-image "docker.io/$1" "$2" --file "$3" && cluster load-image "docker.io/$1"
}

engine_forward() { cluster forward "$2" "${SYMPOZIUM_PORT:-8080}" "$2.$1.svc.cluster.local:$3"; }

# engine_remove_caches: what took minutes to make and is shared by all clusters of this kind.
engine_remove_caches() {
  local CACHE
  eval "$(cluster settings | grep ^CACHE=)"
  say "removing $CACHE"
  rm -rf --one-file-system "$CACHE"
}
