# shellcheck shell=bash disable=SC2034  # the ENGINE_ variables are read by those who source engine.sh
# The engine for a machine without Docker: local/cluster.

cluster() { "$LOCAL/cluster/cluster.sh" "$@"; }

engine_settings() {
  local KUBECONFIG TOOLS_PATH AUDIT_LOG EXEC LOCK
  eval "$(cluster settings)"
  ENGINE_KUBECONFIG=$KUBECONFIG ENGINE_PATH=$TOOLS_PATH ENGINE_AUDIT_LOG=$AUDIT_LOG ENGINE_EXEC=$EXEC ENGINE_LOCK=$LOCK
}

# engine_up MEANWHILE: images are built while Kubernetes compiles, because one waits for the network and the other for processors.
engine_up() {
  [ "$(id -u)" = 0 ] || fail "without Docker the cluster needs root (it makes namespaces and mounts)"
  cluster status && return
  OWN_MEANWHILE=$1
  side_by_side own_programs own_images
  cluster up
}

own_programs() { cluster build-programs; }

own_images() {
  cluster build-base
  "$OWN_MEANWHILE"
}

engine_down() { cluster down; }
engine_has_image() { cluster has-image "docker.io/$1"; }
engine_has_built_image() { cluster has-built-image "docker.io/$1"; }
engine_build_image() { cluster build-image "docker.io/$1" "$2" --file "$3"; }
engine_load_image() { cluster load-image "docker.io/$1"; }
engine_load_example_images() { engine_has_image library/python:3.13-slim || engine_load_image library/python:3.13-slim; }
engine_prune_images() { cluster prune-images "$1" "$2"; }
engine_forward() { cluster forward "$2" "${SYMPOZIUM_PORT:-8080}" "$2.$1.svc.cluster.local:$3"; }

# engine_remove_caches: what took minutes to build, which all clusters of this kind share.
engine_remove_caches() {
  local CACHE
  eval "$(cluster settings | grep ^CACHE=)"
  say "removing $CACHE"
  rm -rf --one-file-system "$CACHE"
}
