#!/usr/bin/env bash
# Remove the cluster and all its traces: processes, mounts, network namespace, cgroups, ports, state.
#   down.sh            keep what took minutes to build (Kubernetes, base images, the cache of image layers)
#   down.sh --caches   remove that as well
set -euo pipefail
LOCAL=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck disable=SC2034  # read by the engine
REPOSITORY=$(dirname "$LOCAL")
WORK=$REPOSITORY/.local
for part in progress lock engine; do
  # shellcheck source=/dev/null
  . "$LOCAL/$part.sh"
done

mkdir -p "$WORK"
engine_settings
hold_lock "$ENGINE_LOCK"
engine_down
if [ "${1:-}" = --caches ]; then engine_remove_caches; fi
rm -rf "$WORK"
say "the cluster is gone"
