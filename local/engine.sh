# shellcheck shell=bash
# Which Kubernetes to use. Docker decides: where it answers, kind; where it does not, the cluster in local/cluster.
#
# Either file defines the same functions, and all that comes after the cluster uses only these:
#   engine_up                                     start or repair it, wait until pods can run
#   engine_down                                   remove it
#   engine_has_image TAG
#   engine_build_image TAG FOLDER DOCKERFILE      build it and put it into the cluster
#   engine_prune_images NAME KEEP                 remove the images NAME:* but the tag KEEP
#   engine_remove_caches
#   engine_forward NAMESPACE SERVICE PORT         show a Service at a free port of 127.0.0.1; prints host:port
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
