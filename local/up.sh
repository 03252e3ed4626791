#!/usr/bin/env bash
# A cluster with everything of ours in it: Kubernetes, the images, the charts, the local model, and .local/env that leads there.
# Runs again at any time: it does what is missing, repairs what was interrupted, and leaves alone what is as it should be.
set -euo pipefail
LOCAL=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
REPOSITORY=$(dirname "$LOCAL")
WORK=$REPOSITORY/.local
for part in progress lock engine images charts environment; do
  # shellcheck source=/dev/null
  . "$LOCAL/$part.sh"
done

mkdir -p "$WORK"
engine_say
environment_use
hold_lock "$ENGINE_LOCK"
engine_up
images_make
charts_install
model_deploy
images_prune
environment_write
say "everything is up; for a shell: . .local/env"
