# shellcheck shell=bash
# The parts of a Kubernetes node: containerd, the pod network, kubelet, kube-proxy, cluster DNS and the storage provisioner.

runtime_start() {
  mkdir -p "$CONFIG/cni"
  pod_network_config | config_write cni/10-bridge.conflist
  containerd_config | config_write containerd.toml
  daemon_start containerd containerd --config "$CONFIG/containerd.toml"
}

# node_finish: start what needs an API server that answers and running controllers.
node_finish() {
  wait_until 30 "containerd" node_ctr version || fail "containerd does not answer: $STATE/log/containerd.log"
  node_load_once "$PAUSE_IMAGE"
  echo "nameserver ${NODE_IPS[0]}" | config_write resolv.conf   # no DNS server is there, because pods reach no network beyond the cluster
  kubelet_config | config_write kubelet.yaml
  daemon_start kubelet "$BIN/kubelet" --config="$CONFIG/kubelet.yaml" --kubeconfig="$CONFIG/kubelet.conf" \
    --node-ip="$(joined "${NODE_IPS[@]}")" --hostname-override="$NODE_NAME"
  kube_proxy_config | config_write kube-proxy.yaml
  daemon_start kube-proxy "$BIN/kube-proxy" --config="$CONFIG/kube-proxy.yaml" --hostname-override="$NODE_NAME"
  node_load_once "$COREDNS_IMAGE"
  cluster_dns
  config_write provisioner.sh <"$HERE/provisioner.sh"
  daemon_start provisioner bash "$CONFIG/provisioner.sh" "$BIN/kubectl" "$CONFIG/super-admin.conf" "$NODE_NAME"
}

node_ctr() { in_machine ctr --namespace k8s.io "$@"; }

node_has_image() { [ -n "$(node_ctr images list --quiet "name==$1")" ]; }

pod_network_config() {
  local ranges=() routes=() cidr
  for cidr in "${POD_CIDRS[@]}"; do
    ranges+=("[{\"subnet\": \"$cidr\"}]")
    case $cidr in *:*) routes+=('{"dst": "::/0"}') ;; *) routes+=('{"dst": "0.0.0.0/0"}') ;; esac
  done
  cat <<Y
{"cniVersion": "1.0.0", "name": "local", "plugins": [
  {"type": "bridge", "bridge": "cni0", "isGateway": true, "ipMasq": true, "hairpinMode": true,
   "ipam": {"type": "host-local", "dataDir": "/run/cni", "ranges": [$(joined "${ranges[@]}")], "routes": [$(joined "${routes[@]}")]}},
  {"type": "portmap", "capabilities": {"portMappings": true}}]}
Y
}

containerd_config() {
  cat <<Y
version = 2
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "$PAUSE_IMAGE"
  restrict_oom_score_adj = true   # where root lacks CAP_SYS_RESOURCE, every sandbox would fail without it
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "$CONFIG/cni"
  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
Y
}

kubelet_config() {
  cat <<Y
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
containerRuntimeEndpoint: unix:///run/containerd/containerd.sock
cgroupDriver: cgroupfs
cgroupRoot: /$CLUSTER
failSwapOn: false
clusterDNS: [$DNS_IP]
clusterDomain: cluster.local
resolvConf: $CONFIG/resolv.conf
authentication: {anonymous: {enabled: false}, webhook: {enabled: true}, x509: {clientCAFile: $PKI/ca.crt}}
authorization: {mode: Webhook}
maxPods: 250
serializeImagePulls: false
# Disk and memory are the host's. What a file system keeps for root counts as full there though root can write to it, and files that the
# host has just read count as memory in use. So the kubelet neither collects images, which are loaded by hand and cannot be pulled again,
# nor evicts pods: kind does the same for the disk.
imageGCHighThresholdPercent: 100
evictionHard: {memory.available: "0%", nodefs.available: "0%", nodefs.inodesFree: "0%", imagefs.available: "0%", imagefs.inodesFree: "0%"}
Y
}

kube_proxy_config() {
  cat <<Y
apiVersion: kubeproxy.config.k8s.io/v1alpha1
kind: KubeProxyConfiguration
mode: nftables
clusterCIDR: $(joined "${POD_CIDRS[@]}")
clientConnection: {kubeconfig: $CONFIG/super-admin.conf}
conntrack: {maxPerCore: 0}   # the limit belongs to the host
Y
}

cluster_dns() {
  kc -n kube-system get deployment coredns >/dev/null 2>&1 && return
  in_machine "$BIN/kubeadm" init phase addon coredns --config "$CONFIG/kubeadm.yaml" --kubeconfig "$CONFIG/super-admin.conf" >>"$STATE/log/kubeadm.log" 2>&1
  kc -n kube-system scale deployment coredns --replicas=1 >/dev/null   # one node needs only one
}

# pods_are_true: return true if every container that the API server reports as running does run. After a crash the API server
# still shows what was last reported, and a wait for "ready" would end too early.
pods_are_true() {
  local running
  running=$(node_ctr tasks list | awk '$3 == "RUNNING" {print $1}')
  ! kc get pods --all-namespaces --output 'jsonpath={range .items[*].status.containerStatuses[*]}{.state.running.startedAt} {.containerID}{"\n"}{end}' |
    sed -n 's#^[^ ]\+ containerd://##p' | grep -vxF "$running"
}

node_wait() {
  wait_until 60 "the node to be Ready" kc wait --for=condition=Ready "node/$NODE_NAME" --timeout=2s || fail "the node is not Ready: $STATE/log/kubelet.log"
  wait_until 60 "the kubelet to report on all pods" pods_are_true || fail "the kubelet does not report: $STATE/log/kubelet.log"
  wait_until 120 "cluster DNS" kc -n kube-system rollout status deployment/coredns --timeout=5s || fail "cluster DNS does not come up: $(kc -n kube-system get pods 2>&1)"
}
