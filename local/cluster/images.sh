# shellcheck shell=bash
# Building images without Docker and putting them into the node.
#
# The store is our own ($STORAGE), so we may remove all that is in it. buildah runs in namespaces that end with it, so a killed
# build leaves neither a process nor a mount.

MOST_LAYERS=200                              # about 25 to each version of an image, most of them a few MB

contained() { setpriv --pdeathsig KILL -- unshare --mount --pid --fork --kill-child --mount-proc -- "$@"; }

store() {
  mkdir -p "$STORAGE"
  contained buildah --root "$STORAGE/root" --runroot "$STORAGE/run" "$@"
}

# image_build TAG FOLDER [BUILDAH ARGUMENTS]
image_build() {
  local tag=$1 folder=$2
  shift 2
  # The build sees the machine's CA bundle, so that pip works where TLS is intercepted. The bundle does not enter the image.
  store bud --quiet --layers --isolation chroot --volume /etc/ssl/certs:/etc/ssl/certs:ro --tag "$tag" "$@" "$folder"
}

image_exists() { store images --quiet "$1" >/dev/null 2>&1; }

# image_load TAG: copy the image from the store into the node.
image_load() {
  store push --quiet "$1" "docker-archive:/dev/stdout:$1" | node_ctr images import - >/dev/null
}

node_load_once() { node_has_image "$1" || image_load "$1"; }

# images_prune NAME KEEP: remove older builds, because they would fill the disk. The node keeps what a running container uses.
images_prune() {
  local name=docker.io/$1 tag
  for tag in $(node_ctr images list --quiet "name~=^$name:" | grep -v "^$name:$2\$"); do
    node_ctr images remove "$tag" >/dev/null
  done
  for tag in $(store images --format '{{.Name}}:{{.Tag}}' | grep "^$name:" | grep -v ":$2\$"); do
    store rmi "$tag" >/dev/null 2>&1 || true # a build elsewhere may be based on it; the next run removes it
  done
  # Layers without a tag are the cache of the next build, including its earlier stages. They are removed only when they are many.
  # A build that was killed, or that another clone runs, keeps some of them: the next run removes them.
  if (($(store images --all --quiet | wc -l) > MOST_LAYERS)); then store rmi --prune >/dev/null 2>&1 || true; fi
}
