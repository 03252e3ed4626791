#!/usr/bin/env bash
# Put the image of PostgreSQL into the cluster of local/up.sh, for the tests of the archive, which start servers of their own from it.
# It may run again at any time; where the cluster has the image, it takes a second.
set -euo pipefail
LOCAL=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
REPOSITORY=$(dirname "$LOCAL")
# shellcheck disable=SC2034  # read by images.sh
WORK=$REPOSITORY/.local
for part in progress lock engine images environment; do
  # shellcheck source=/dev/null
  . "$LOCAL/$part.sh"
done

environment_use
hold_lock "$ENGINE_LOCK"
tag=$(image_make sympozium/local-postgres local/postgres local/postgres/Dockerfile)
engine_prune_images sympozium/local-postgres "$tag"
say "the cluster has sympozium/local-postgres:$tag"
