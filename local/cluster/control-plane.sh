# shellcheck shell=bash
# Certificates, settings and start of etcd, the API server, the controller manager and the scheduler.

CONFIG=$STATE/etc                            # certificates, kubeconfigs and component settings
PKI=$CONFIG/pki

# kc ARGUMENTS: kubectl inside the machine, with all rights. It works before anything is forwarded to the host.
kc() { in_machine "$BIN/kubectl" --kubeconfig "$CONFIG/super-admin.conf" "$@"; }

# config_write NAME: write a component's settings from standard input. An unchanged file is not written, because kube-proxy ends
# when its file is written, even with the same content.
config_write() {
  cat >"$CONFIG/$1.new"
  if cmp --silent "$CONFIG/$1.new" "$CONFIG/$1"; then rm "$CONFIG/$1.new"; else mv "$CONFIG/$1.new" "$CONFIG/$1"; fi
}

control_plane_start() {
  certificates
  etcd_start
  apiserver_start
}

# admin_rights: bind the group of kubeadm's admin.conf, which has no rights before kubeadm's own bootstrap binds it.
admin_rights() {
  kc get clusterrolebinding kubeadm:cluster-admins >/dev/null 2>&1 ||
    kc create clusterrolebinding kubeadm:cluster-admins --clusterrole=cluster-admin --group=kubeadm:cluster-admins >/dev/null
}

kubeadm_config() {
  cat <<Y
apiVersion: kubeadm.k8s.io/v1beta4
kind: InitConfiguration
localAPIEndpoint: {advertiseAddress: "${NODE_IPS[0]}", bindPort: 6443}
nodeRegistration: {name: $NODE_NAME}
---
apiVersion: kubeadm.k8s.io/v1beta4
kind: ClusterConfiguration
kubernetesVersion: $KUBERNETES_VERSION
certificatesDir: $PKI
controlPlaneEndpoint: "$NODE_HOST:6443"
networking: {podSubnet: "$(joined "${POD_CIDRS[@]}")", serviceSubnet: "$(joined "${SERVICE_CIDRS[@]}")"}
apiServer: {certSANs: [127.0.0.1, localhost]}
dns: {imageTag: $COREDNS_VERSION}
Y
}

certificates() {
  [ -f "$CONFIG/complete" ] && return        # kubeadm keeps what it finds, so it continues an interrupted run
  say "certificates"
  kubeadm_config | config_write kubeadm.yaml
  in_machine "$BIN/kubeadm" init phase certs all --config "$CONFIG/kubeadm.yaml" >"$STATE/log/kubeadm.log" 2>&1
  in_machine "$BIN/kubeadm" init phase kubeconfig all --config "$CONFIG/kubeadm.yaml" --kubeconfig-dir "$CONFIG" >>"$STATE/log/kubeadm.log" 2>&1
  touch "$CONFIG/complete"
}

# etcd_start: etcd does not wait for the disk. Only a crash of the whole host can lose its last writes; then `up` starts with an
# empty cluster.
etcd_start() {
  daemon_start etcd "$BIN/etcd" \
    --data-dir=/var/lib/etcd \
    --listen-client-urls=http://127.0.0.1:2379 --advertise-client-urls=http://127.0.0.1:2379 \
    --listen-peer-urls=http://127.0.0.1:2380 --initial-advertise-peer-urls=http://127.0.0.1:2380 \
    --initial-cluster=default=http://127.0.0.1:2380 \
    --unsafe-no-fsync --log-level=warn
}

# audit_policy: the audit log holds every write with user, resource and verb, because the benchmark counts API writes per run. Of
# reads, the log holds those of our service accounts, and those of our kinds and of ConfigMaps, because a test compares them with
# the granted rights. Of the Secret provider-key, which tests make, it holds the answers too, because a test looks at what our parts
# read of it.
audit_policy() {
  cat <<'Y'
apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
- {level: RequestResponse, verbs: [get], userGroups: [system:serviceaccounts:sympozium-system], resources: [{resources: [secrets], resourceNames: [provider-key]}]}
- {level: Metadata, verbs: [get, list, watch], userGroups: [system:serviceaccounts:sympozium-system]}
- {level: Metadata, verbs: [get, list, watch], userGroups: [system:serviceaccounts], resources: [{group: sympozium.ai}, {resources: [configmaps]}]}
- {level: None, verbs: [get, list, watch]}
- {level: Metadata}
Y
}

apiserver_start() {
  audit_policy | config_write audit-policy.yaml
  daemon_start kube-apiserver "$BIN/kube-apiserver" \
    --etcd-servers=http://127.0.0.1:2379 \
    --bind-address=:: --advertise-address="${NODE_IPS[0]}" --secure-port=6443 \
    --service-cluster-ip-range="$(joined "${SERVICE_CIDRS[@]}")" \
    --client-ca-file="$PKI/ca.crt" \
    --tls-cert-file="$PKI/apiserver.crt" --tls-private-key-file="$PKI/apiserver.key" \
    --kubelet-client-certificate="$PKI/apiserver-kubelet-client.crt" --kubelet-client-key="$PKI/apiserver-kubelet-client.key" \
    --kubelet-preferred-address-types=InternalIP \
    --service-account-issuer=https://kubernetes.default.svc \
    --service-account-key-file="$PKI/sa.pub" --service-account-signing-key-file="$PKI/sa.key" \
    --requestheader-client-ca-file="$PKI/front-proxy-ca.crt" --requestheader-allowed-names=front-proxy-client \
    --requestheader-username-headers=X-Remote-User --requestheader-group-headers=X-Remote-Group \
    --requestheader-extra-headers-prefix=X-Remote-Extra- \
    --proxy-client-cert-file="$PKI/front-proxy-client.crt" --proxy-client-key-file="$PKI/front-proxy-client.key" \
    --authorization-mode=Node,RBAC --enable-admission-plugins=NodeRestriction --allow-privileged=true \
    --audit-policy-file="$CONFIG/audit-policy.yaml" --audit-log-path=/var/log/audit.log \
    --audit-log-maxsize=200 --audit-log-maxbackup=2
}

# apiserver_wait: return false at once when etcd has given up on its data, because then the API server never answers.
apiserver_wait() {
  wait_until 60 "the API server" apiserver_settled
  apiserver_answers
}

apiserver_settled() { apiserver_answers || ! daemon_alive etcd; }
apiserver_answers() { kc get --raw /readyz >/dev/null 2>&1; }

controllers_start() {
  local name
  for name in kube-controller-manager kube-scheduler; do
    local kubeconfig=$CONFIG/${name#kube-}.conf
    local flags=(--kubeconfig="$kubeconfig" --authentication-kubeconfig="$kubeconfig" --authorization-kubeconfig="$kubeconfig" --leader-elect=false)
    [ -z "$API_QPS" ] || flags+=(--kube-api-qps="$API_QPS" --kube-api-burst="$((2 * API_QPS))")
    [ "$name" = kube-scheduler ] || flags+=(
      --cluster-cidr="$(joined "${POD_CIDRS[@]}")" --allocate-node-cidrs=true
      --service-cluster-ip-range="$(joined "${SERVICE_CIDRS[@]}")"
      --cluster-signing-cert-file="$PKI/ca.crt" --cluster-signing-key-file="$PKI/ca.key" --root-ca-file="$PKI/ca.crt"
      --service-account-private-key-file="$PKI/sa.key" --use-service-account-credentials=true)
    daemon_start "$name" "$BIN/$name" "${flags[@]}"
  done
}
