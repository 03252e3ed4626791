#!/usr/bin/env bash
# Put the images of PostgreSQL and Valkey into the cluster of local/up.sh, for the tests, which start servers of their own from them.
# It may run again at any time; where the cluster has the images, it takes a second.
set -euo pipefail
LOCAL=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
REPOSITORY=$(dirname "$LOCAL")
# shellcheck disable=SC2034  # read by images.sh
WORK=$REPOSITORY/.local
for part in progress lock engine images environment; do
  # shellcheck source=/dev/null
  . "$LOCAL/$part.sh"
done

mkdir -p "$WORK"
environment_use
hold_lock "$ENGINE_LOCK"
for server in postgres valkey; do
  tag=$(image_make "sympozium/local-$server" "local/$server" "local/$server/Dockerfile")
  engine_prune_images "sympozium/local-$server" "$tag"
  say "the cluster has sympozium/local-$server:$tag"
done
