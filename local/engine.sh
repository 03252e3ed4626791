# shellcheck shell=bash
# The choice of the Kubernetes to use. Docker decides: where its server answers, kind; elsewhere, the cluster in local/cluster.
#
# Both files define the same functions, and all that comes after the cluster uses only these:
#   engine_up MEANWHILE                           start or repair the cluster, and wait until pods can run. Where the cluster does
#                                                 not run yet, call MEANWHILE as soon as images can be built
#   engine_down                                   remove the cluster
#   engine_has_image TAG                          true if the cluster has the image
#   engine_has_built_image TAG                    true if the image is built, be it in the cluster or not
#   engine_build_image TAG FOLDER DOCKERFILE
#   engine_load_image TAG                         put a built image into the cluster
#   engine_prune_images NAME KEEP                 remove the images NAME:* except the tag KEEP
#   engine_remove_caches
#   engine_forward NAMESPACE SERVICE PORT         forward a free port of 127.0.0.1 to a Service; prints host:port
# and sets ENGINE_KUBECONFIG, ENGINE_PATH (folder of kubectl and helm), ENGINE_EXEC (command prefix that runs something where
# pod and Service addresses are reachable), ENGINE_AUDIT_LOG (may be empty) and ENGINE_LOCK.

if [ "${SYMPOZIUM_ENGINE:-}" = kind ] || { [ -z "${SYMPOZIUM_ENGINE:-}" ] && docker info --format '{{.ServerVersion}}' >/dev/null 2>&1; }; then
  ENGINE=kind
  # shellcheck source-path=SCRIPTDIR source=engine-kind.sh
  . "$LOCAL/engine-kind.sh"
else
  ENGINE=own
  # shellcheck source-path=SCRIPTDIR source=engine-own.sh
  . "$LOCAL/engine-own.sh"
fi

engine_say() {
  case $ENGINE in
    kind) say "Docker answers: using a kind cluster" ;;
    own) say "no Docker here: using the cluster in local/cluster" ;;
  esac
}
