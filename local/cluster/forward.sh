# shellcheck shell=bash
# Addresses of the cluster on the host: ports of 127.0.0.1 that lead into the node's network namespace.

# forward NAME PORT ADDRESS: print the 127.0.0.1 address. The port of the last time comes first, so that URLs stay valid.
forward() {
  local name=forward-$1 port=$2 target=$3 record=$STATE/forward-$1
  if ! daemon_alive "$name"; then
    [ -f "$record" ] && port=$(sed 's/.*://' "$record")
    rm -f "$record"
    daemon_start "$name" "$BIN/forward" "127.0.0.1:$port" "$target" "$DNS_HOST:53" "$record" 3</proc/self/ns/net
    wait_until 5 "the forwarder of $target" test -s "$record" || fail "the forwarder of $target does not start: $(cat "$STATE/log/$name.log")"
  fi
  cat "$record"
}

# kubeconfig_write: write a kubeconfig for the host, where the API server is a forwarded port.
kubeconfig_write() {
  local address
  address=$(forward api 6443 127.0.0.1:6443)
  sed "s#https://.*:6443#https://$address#" "$CONFIG/super-admin.conf" >"$STATE/kubeconfig.new"
  mv "$STATE/kubeconfig.new" "$STATE/kubeconfig"
}
