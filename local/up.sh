#!/usr/bin/env bash
# A cluster with everything of ours in it: Kubernetes, the images, the charts, the local model, and .local/env for a shell.
# This script may run again at any time: it does what is missing, repairs what was interrupted, and leaves the rest as it is.
set -euo pipefail
LOCAL=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
REPOSITORY=$(dirname "$LOCAL")
WORK=$REPOSITORY/.local
for part in progress lock engine images charts plugin environment; do
  # shellcheck source=/dev/null
  . "$LOCAL/$part.sh"
done

mkdir -p "$WORK"
engine_say
environment_use
hold_lock "$ENGINE_LOCK"
steps_begin "$WORK/steps"
engine_up images_build
images_make
engine_load_example_images
timed "charts" charts_install
timed "local model" model_deploy
images_prune
environment_write
say "everything is up; for a shell: . .local/env"
[ "${BASH_SOURCE[0]}" != "$0" ] || steps_print
