# shellcheck shell=bash
# Our images. Each is tagged with the hash of what it is made of, so a change rolls its Deployment, and an unchanged image is
# neither built nor loaded again.

# image_inputs FOLDER DOCKERFILE: the paths in the folder that the image is made of. Our .dockerignore files exclude all and name
# exceptions, which several images share, so each image is made of those that its Dockerfile copies.
image_inputs() {
  [ -f "$1/.dockerignore" ] || { echo . && return; }
  local path copied
  copied=" $(sed -n '/--from=/d; s/^COPY \(.*\) [^ ]*$/\1/p' "$2" | tr '\n' ' ') "
  sed -n 's/^!//p' "$1/.dockerignore" | while read -r path; do
    case $copied in *" $path "* | *" . "*) echo "$path" ;; esac
  done
}

# image_tag FOLDER DOCKERFILE
image_tag() (
  cd "$REPOSITORY/$1" || exit
  mapfile -t inputs < <(image_inputs . "$REPOSITORY/$2")
  find "${inputs[@]}" "$REPOSITORY/$2" -type f ! -path '*/__pycache__/*' -print0 | LC_ALL=C sort --zero-terminated --unique |
    xargs -0 sha256sum | sed "s#$REPOSITORY/##" | sha256sum | sed 's/^\(.\{12\}\).*/dev-\1/'
)

# image_build NAME FOLDER DOCKERFILE: build the image unless it is built, and print its tag.
image_build() {
  local tag log=$WORK/build-${1#*/}.log
  tag=$(image_tag "$2" "$3")
  if ! engine_has_built_image "$1:$tag"; then
    say "building $1:$tag"
    timed "image $1" engine_build_image "$1:$tag" "$REPOSITORY/$2" "$REPOSITORY/$3" >"$log" 2>&1 || fail "building $1: $log ends with
$(tail -15 "$log")"
  fi
  echo "$tag"
}

# image_make NAME FOLDER DOCKERFILE: put the image into the cluster unless the cluster has it, and print its tag.
image_make() {
  local tag log=$WORK/load-${1#*/}.log
  tag=$(image_tag "$2" "$3")
  if ! engine_has_image "$1:$tag"; then
    image_build "$@" >/dev/null
    say "loading $1:$tag into the cluster"
    timed "image $1 into the cluster" engine_load_image "$1:$tag" >"$log" 2>&1 || fail "loading $1: $log ends with
$(tail -15 "$log")"
  fi
  echo "$tag"
}

images_build() { images_each image_build; }
images_make() { images_each image_make; }

# images_each FUNCTION: call it for each image, and set the tags.
images_each() {
  OPERATOR_TAG=$("$1" sympozium/operator . Dockerfile.operator)
  WEBPROXY_TAG=$("$1" sympozium/webproxy . Dockerfile.webproxy)
  CONSOLE_TAG=$("$1" sympozium/console . Dockerfile.console)
  MODEL_TAG=$("$1" sympozium/local-model local/model local/model/Dockerfile)
}

# images_prune: remove older builds, once no Deployment uses them any more.
images_prune() {
  engine_prune_images sympozium/operator "$OPERATOR_TAG"
  engine_prune_images sympozium/webproxy "$WEBPROXY_TAG"
  engine_prune_images sympozium/console "$CONSOLE_TAG"
  engine_prune_images sympozium/local-model "$MODEL_TAG"
}
