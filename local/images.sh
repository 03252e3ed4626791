# shellcheck shell=bash
# Our images: each is tagged with the hash of what it is made of. So a change rolls its Deployment, and what did not change
# is neither built nor loaded again.

# image_inputs FOLDER: the paths in it that a build may see. Our .dockerignore files exclude all and name exceptions.
image_inputs() {
  if [ -f "$1/.dockerignore" ]; then sed -n 's/^!//p' "$1/.dockerignore"; else echo .; fi
}

# image_tag FOLDER DOCKERFILE
image_tag() (
  cd "$REPOSITORY/$1" || exit
  mapfile -t inputs < <(image_inputs .)
  find "${inputs[@]}" "$REPOSITORY/$2" -type f ! -path '*/__pycache__/*' -print0 | LC_ALL=C sort --zero-terminated --unique |
    xargs -0 sha256sum | sed "s#$REPOSITORY/##" | sha256sum | sed 's/^\(.\{12\}\).*/dev-\1/'
)

# image_make NAME FOLDER DOCKERFILE: prints the tag of the image, which the cluster then has.
image_make() {
  local tag log=$WORK/build-${1#*/}.log began=$EPOCHSECONDS
  tag=$(image_tag "$2" "$3")
  if ! engine_has_image "$1:$tag"; then
    say "building $1:$tag"
    engine_build_image "$1:$tag" "$REPOSITORY/$2" "$REPOSITORY/$3" >"$log" 2>&1 || fail "building $1: $log ends with
$(tail -15 "$log")"
    say "  built and loaded in $((EPOCHSECONDS - began)) s"
  fi
  echo "$tag"
}

images_make() {
  OPERATOR_TAG=$(image_make sympozium/operator . Dockerfile.operator)
  WEBPROXY_TAG=$(image_make sympozium/webproxy . Dockerfile.webproxy)
  MODEL_TAG=$(image_make sympozium/local-model local/model local/model/Dockerfile)
}

# images_prune: once nothing is rolled out any more that uses older builds.
images_prune() {
  engine_prune_images sympozium/operator "$OPERATOR_TAG"
  engine_prune_images sympozium/webproxy "$WEBPROXY_TAG"
  engine_prune_images sympozium/local-model "$MODEL_TAG"
}
