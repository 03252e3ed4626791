# shellcheck shell=bash
# What is built once and kept: Kubernetes, CoreDNS, Helm, the pause program, and the three base images nobody can pull here.

PACKAGES=(containerd runc containernetworking-plugins buildah debootstrap nftables iptables iproute2 conntrack ipset ethtool kmod)

build_all() {
  mkdir -p "$BIN"
  packages_install
  kubernetes_build
  forward_build
  go_program coredns "github.com/coredns/coredns@$COREDNS_VERSION"
  go_program helm "helm.sh/helm/v4/cmd/helm@$HELM_VERSION"
  pause_build
  base_images
}

packages_install() {
  local missing=() package
  command -v gcc >/dev/null || PACKAGES+=(gcc libc6-dev)
  for package in "${PACKAGES[@]}"; do
    dpkg-query --show --showformat='${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing+=("$package")
  done
  ((${#missing[@]})) || return 0
  say "installing Debian packages: ${missing[*]}"
  { apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends "${missing[@]}"; } \
    >"$TOOLS/packages.log" 2>&1 || fail "apt-get: $(tail -3 "$TOOLS/packages.log")"
}

# One binary holds all of Kubernetes; it behaves as the component whose name it is called by (main.go).
kubernetes_build() {
  local stamp component
  stamp=$(cat "$HERE"/main.go "$HERE"/go.mod "$HERE"/go.sum | sha256sum | cut -c1-16)-$KUBERNETES_VERSION
  [ "$(cat "$BIN/cluster.stamp" 2>/dev/null)" = "$stamp" ] && return
  command -v go >/dev/null || fail "Go is needed to build Kubernetes (1.24 or later): https://go.dev/dl"
  say "building Kubernetes $KUBERNETES_VERSION (5 minutes the first time, 1 later)"
  local version=k8s.io/component-base/version
  quiet_go build -trimpath -o "$BIN/cluster.new" \
    -ldflags "-s -w -X $version.gitVersion=$KUBERNETES_VERSION -X $version.gitMajor=1 -X $version.gitMinor=${KUBERNETES_VERSION:3:2}" .
  mv "$BIN/cluster.new" "$BIN/cluster"
  for component in etcd kube-apiserver kube-controller-manager kube-scheduler kubelet kube-proxy kubeadm kubectl; do
    ln -sf cluster "$BIN/$component"
  done
  echo "$stamp" >"$BIN/cluster.stamp"
}

forward_build() {
  [ "$BIN/forward" -nt "$HERE/forward/main.go" ] && return
  quiet_go build -trimpath -ldflags "-s -w" -o "$BIN/forward.new" ./forward
  mv "$BIN/forward.new" "$BIN/forward"
}

# quiet_go ARGUMENTS: go in our module, without cgo, or what it makes would not start in an image that holds nothing else; and
# without the thousand lines about what it downloads.
quiet_go() {
  (cd "$HERE" && CGO_ENABLED=0 GOBIN=$BIN go "$@") >"$TOOLS/go.log" 2>&1 || fail "go $1: $(tail -5 "$TOOLS/go.log")"
}

# go_program NAME MODULE@VERSION [HOW LONG]
go_program() {
  [ -x "$BIN/$1" ] && return
  command -v go >/dev/null || fail "Go is needed to build $1: https://go.dev/dl"
  say "building $1 (${3:-1 to 2 minutes})"
  quiet_go install -ldflags "-s -w" "$2"
}

pause_build() {
  [ -x "$BIN/pause" ] || gcc -O2 -static -s "$HERE/pause/pause.c" -o "$BIN/pause"
}

base_images() {
  image_exists "$PAUSE_IMAGE" || single_file_image "$PAUSE_IMAGE" pause
  image_exists "$COREDNS_IMAGE" || single_file_image "$COREDNS_IMAGE" coredns
  image_exists "$PYTHON_IMAGE" || python_image
}

# single_file_image TAG PROGRAM: an image that holds one static program.
single_file_image() {
  local folder
  folder=$(mktemp -d)
  cp "$BIN/$2" "$folder/"
  printf 'FROM scratch\nCOPY %s /%s\nENTRYPOINT ["/%s"]\n' "$2" "$2" "$2" >"$folder/Dockerfile"
  image_build "$1" "$folder" >/dev/null
  rm -rf "$folder"
}

# python_image: stands in for python:3.13-slim, under its name, so that our Dockerfiles are the ones users build elsewhere.
python_image() {
  local folder=$TOOLS/python-image
  rootfs_build
  say "base image $PYTHON_IMAGE"
  rm -rf "$folder" && mkdir "$folder"
  tar -C "$TOOLS/rootfs" -cf "$folder/rootfs.tar" .
  cat >"$folder/Dockerfile" <<'D'
FROM scratch
ADD rootfs.tar /
RUN ln -sf /usr/bin/python3 /usr/local/bin/python && ln -sf /usr/bin/python3 /usr/local/bin/python3 \
 && ln -sf /usr/bin/pip3 /usr/local/bin/pip && rm -f /usr/lib/python3*/EXTERNALLY-MANAGED
CMD ["python3"]
D
  image_build "$PYTHON_IMAGE" "$folder" >/dev/null
  rm -rf "$folder"
}

rootfs_build() {
  [ -f "$TOOLS/rootfs/usr/bin/pip3" ] && return
  say "Debian $DEBIAN_RELEASE with Python 3.13 (1 minute)"
  rm -rf "$TOOLS/rootfs" "$TOOLS/rootfs.new"
  contained debootstrap --variant=minbase --include=python3,python3-venv,python3-pip,ca-certificates "$DEBIAN_RELEASE" "$TOOLS/rootfs.new" \
    >"$TOOLS/debootstrap.log" 2>&1 || fail "debootstrap: $(tail -3 "$TOOLS/debootstrap.log")"
  mv "$TOOLS/rootfs.new" "$TOOLS/rootfs"
}
