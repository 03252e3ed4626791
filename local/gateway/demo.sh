#!/usr/bin/env bash
# The demo with a gateway in front: everything of demo.sh, Envoy Gateway, a SympoziumConfig, one answer through the gateway.
set -euo pipefail
# Sourced, so that what follows works in its environment and under its lock.
# shellcheck source-path=SCRIPTDIR source=../demo.sh
. "$(dirname "${BASH_SOURCE[0]}")/../demo.sh"

ROUTED_BOUND=120                             # seconds; a new Envoy alone takes more than ten
HOST=demo.localhost

gateway_state() { kubectl --namespace sympozium-system get sympoziumconfigs default --output 'jsonpath={range .status.conditions[*]}{.type}={.status} {.reason}: {.message}{"\n"}{end}'; }

# gateway_service: print the name of the Service that Envoy Gateway made for our Gateway.
gateway_service() {
  kubectl --namespace envoy-gateway-system get service --selector gateway.envoyproxy.io/owning-gateway-name=sympozium --output 'jsonpath={.items[0].metadata.name}'
}

instance_is_routed() { [ "$(instance_get '{.status.webEndpoint.gatewayReady}')" = true ]; }

"$LOCAL/gateway/install.sh"
say "creating the gateway (local/demo-gateway.yaml)"
kubectl apply --filename "$LOCAL/demo-gateway.yaml" >/dev/null
wait_until "$ROUTED_BOUND" "the route" instance_is_routed || fail "the gateway does not route the instance: $(gateway_state; instance_get '{.status.conditions}')"
SYMPOZIUM_URL=http://$HOST:$(engine_forward envoy-gateway-system "$(gateway_service)" 80 | sed 's/.*://')
wait_until 30 "the gateway" curl --silent --fail "$SYMPOZIUM_URL/health" || fail "nothing answers at $SYMPOZIUM_URL/health"
say "asking the instance through the gateway: $QUESTION"
echo
chat || fail "the chat completion failed"
cat <<T

The instance's address outside the cluster is $(instance_get '{.status.webEndpoint.url}'). On this machine:
  $SYMPOZIUM_URL

Ask it a question:
  curl -N $SYMPOZIUM_URL/v1/chat/completions -H 'Authorization: Bearer $SYMPOZIUM_API_KEY' -H 'Content-Type: application/json' \\
    -d '$(chat_body)'

List the objects:    . .local/env && kubectl get sympoziumconfigs,gateways,httproutes --all-namespaces
T
say "done"
